# An adapter is adapters/NAME/*.c -> lib/libweld-NAME.so. It sees weld.h and the library that it wraps. One with a header
# weld_NAME.h has functions for C programs, which link with it: the header is installed, and it needs libweld.
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
  set(header ${CMAKE_SOURCE_DIR}/adapters/${name}/weld_${name}.h)
  if(EXISTS ${header})
    add_library(weld-${name} SHARED ${sources})
    set_target_properties(weld-${name} PROPERTIES PUBLIC_HEADER ${header} INSTALL_RPATH "$ORIGIN")
    target_include_directories(weld-${name} INTERFACE ${CMAKE_SOURCE_DIR}/adapters/${name})
    list(APPEND ARG_LINK weld)
  else()
    add_library(weld-${name} MODULE ${sources})
  endif()
  target_include_directories(weld-${name} PRIVATE ${CMAKE_SOURCE_DIR}/runtime)
  target_link_libraries(weld-${name} PRIVATE weld_flags ${ARG_LINK} m)
  install(TARGETS weld-${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
          PUBLIC_HEADER DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  set_property(TARGET weld-${name} PROPERTY WELD_LIBRARY ${ARG_LINK}) # for its test, which calls the library as well
  set_property(GLOBAL APPEND PROPERTY weld_adapters weld-${name})
endfunction()

weld_adapter(cblas LIBRARY openblas)
weld_adapter(arrow)
