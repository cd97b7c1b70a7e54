# An adapter is adapters/NAME/*.c -> lib/libweld-NAME.so. It sees weld.h and the library that it wraps.
#
# weld_adapter(NAME [LIBRARY pkg-config-name] [LINK libraries]): nothing where the library is missing.
find_package(PkgConfig QUIET)

function(weld_adapter name)
  cmake_parse_arguments(ARG "" "LIBRARY" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/adapters/${name}/*.c)
  if(NOT sources OR NOT TARGET weld)
    return()
  endif()
  if(ARG_LIBRARY)
    if(NOT PkgConfig_FOUND)
      return()
    endif()
    pkg_check_modules(adapter_${name} QUIET IMPORTED_TARGET ${ARG_LIBRARY})
    if(NOT adapter_${name}_FOUND)
      message(STATUS "adapter ${name}: ${ARG_LIBRARY} is not installed")
      return()
    endif()
    list(APPEND ARG_LINK PkgConfig::adapter_${name})
  endif()
  add_library(weld-${name} MODULE ${sources})
  target_include_directories(weld-${name} PRIVATE ${CMAKE_SOURCE_DIR}/runtime)
  target_link_libraries(weld-${name} PRIVATE weld_flags ${ARG_LINK} m)
  install(TARGETS weld-${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  set_property(TARGET weld-${name} PROPERTY WELD_LIBRARY ${ARG_LINK}) # for its test, which calls the library as well
  set_property(GLOBAL APPEND PROPERTY weld_adapters weld-${name})
endfunction()

weld_adapter(cblas LIBRARY openblas)
weld_adapter(gsl LIBRARY gsl)
weld_adapter(fftw LIBRARY fftw3)
weld_adapter(lapack LIBRARY lapacke)
