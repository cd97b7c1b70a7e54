# The libraries we stand on, each as a target of ours: weld_ffi, weld_jemalloc, weld_llvm, weld_llvm_module, weld_edit, weld_criterion.

# weld_package(TARGET HEADER LIBRARY DEBIAN-PACKAGE): an imported library found by header and name.
function(weld_package target header library package)
  find_path(${target}_include ${header} PATH_SUFFIXES ${CMAKE_LIBRARY_ARCHITECTURE})
  find_library(${target}_library ${library})
  mark_as_advanced(${target}_include ${target}_library)
  add_library(${target} INTERFACE)
  if(NOT ${target}_include OR NOT ${target}_library)
    message(FATAL_ERROR "${header} or lib${library} is missing: apt-get install ${package}")
  endif()
  target_include_directories(${target} SYSTEM INTERFACE ${${target}_include})
  target_link_libraries(${target} INTERFACE ${${target}_library})
endfunction()

weld_package(weld_ffi ffi.h ffi libffi-dev)
weld_package(weld_jemalloc jemalloc/jemalloc.h jemalloc libjemalloc-dev)
add_library(weld_jemalloc_headers INTERFACE)
target_include_directories(weld_jemalloc_headers SYSTEM INTERFACE ${weld_jemalloc_include})
weld_package(weld_edit histedit.h edit libedit-dev)
if(WELD_TESTS)
  weld_package(weld_criterion criterion/criterion.h criterion libcriterion-dev)
endif()

# LLVM through its C interface: 19, or any from 16 on; as one shared library.
find_program(WELD_LLVM_CONFIG NAMES llvm-config-19 llvm-config-20 llvm-config-18 llvm-config-17 llvm-config-16 llvm-config)
if(NOT WELD_LLVM_CONFIG)
  message(FATAL_ERROR "llvm-config is missing: apt-get install llvm-19-dev")
endif()
foreach(what version includedir libdir)
  execute_process(COMMAND ${WELD_LLVM_CONFIG} --${what} OUTPUT_VARIABLE llvm_${what} OUTPUT_STRIP_TRAILING_WHITESPACE
                  COMMAND_ERROR_IS_FATAL ANY)
endforeach()
execute_process(COMMAND ${WELD_LLVM_CONFIG} --link-shared --libs OUTPUT_VARIABLE llvm_libs
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
if(llvm_version VERSION_LESS 16)
  message(FATAL_ERROR "${WELD_LLVM_CONFIG} is LLVM ${llvm_version}; 16 or later is needed: apt-get install llvm-19-dev")
endif()
separate_arguments(llvm_libs)
add_library(weld_llvm INTERFACE)
target_include_directories(weld_llvm SYSTEM INTERFACE ${llvm_includedir})
target_link_directories(weld_llvm INTERFACE ${llvm_libdir})
target_link_libraries(weld_llvm INTERFACE ${llvm_libs})

# The same for libweldjit, as static libraries where they are installed: LLVM's shared library is made for everybody, and
# takes four times as long to load. WELD_LLVM_OWN: nobody else in a process uses it.
add_library(weld_llvm_module INTERFACE)
set(WELD_LLVM_OWN OFF)
option(WELD_LLVM_STATIC "Link LLVM into libweldjit, where its static libraries are installed" ON)
if(WELD_LLVM_STATIC AND NOT WELD_SANITIZE AND NOT WELD_FUZZ)
  execute_process(COMMAND ${WELD_LLVM_CONFIG} --link-static --libs passes orcjit object native
                  OUTPUT_VARIABLE llvm_static OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE llvm_failed)
  separate_arguments(llvm_static)
  # libstdc++ within, where its archive is: thousands of LLVM's tables refer to it, each a symbol to look up by name.
  execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=libstdc++.a OUTPUT_VARIABLE stdcxx
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(IS_ABSOLUTE "${stdcxx}" AND EXISTS "${stdcxx}")
    set(WELD_LLVM_stdc++ ${stdcxx})
    set(WELD_LLVM_GCC -static-libgcc)
  endif()
  foreach(name stdc++ z zstd)
    find_library(WELD_LLVM_${name} NAMES ${name} lib${name}.so.6 lib${name}.so.1)
    mark_as_advanced(WELD_LLVM_${name})
    if(WELD_LLVM_${name})
      list(APPEND llvm_static ${WELD_LLVM_${name}})
    endif()
  endforeach()
  if(NOT llvm_failed)
    include(CheckCSourceCompiles)
    set(CMAKE_REQUIRED_INCLUDES ${llvm_includedir})
    set(CMAKE_REQUIRED_LINK_OPTIONS -L${llvm_libdir} ${WELD_LLVM_GCC})
    set(CMAKE_REQUIRED_LIBRARIES ${llvm_static} m pthread ${CMAKE_DL_LIBS})
    check_c_source_compiles("
      #include <llvm-c/LLJIT.h>
      #include <llvm-c/Target.h>
      #include <llvm-c/Transforms/PassBuilder.h>
      int main(void) {
        LLVMOrcLLJITRef jit;
        LLVMInitializeNativeTarget();
        LLVMInitializeNativeAsmPrinter();
        LLVMDisposePassBuilderOptions(LLVMCreatePassBuilderOptions());
        return LLVMOrcCreateLLJIT(&jit, 0) != 0;
      }" WELD_LLVM_STATIC_LINKS)
    # 100,000 addresses to correct when it is loaded, as a bit each instead of 24 bytes: where linker and loader know it.
    include(CheckCSourceRuns)
    set(CMAKE_REQUIRED_LIBRARIES)
    set(CMAKE_REQUIRED_FLAGS -fPIE)
    set(CMAKE_REQUIRED_LINK_OPTIONS -pie -Wl,-z,pack-relative-relocs)
    check_c_source_runs("
      static const char *volatile names[] = {\"a\", \"b\", \"c\"};
      int main(int count, char **arguments) {
        (void)arguments;
        return count > 2 || names[count][0] != 'b';
      }" WELD_PACKED_RELOCATIONS)
    unset(CMAKE_REQUIRED_FLAGS)
    unset(CMAKE_REQUIRED_INCLUDES)
    unset(CMAKE_REQUIRED_LINK_OPTIONS)
    unset(CMAKE_REQUIRED_LIBRARIES)
  endif()
endif()
if(WELD_LLVM_STATIC_LINKS AND WELD_LLVM_STATIC AND NOT WELD_SANITIZE AND NOT WELD_FUZZ)
  set(WELD_LLVM_OWN ON)
  target_link_directories(weld_llvm_module INTERFACE ${llvm_libdir})
  target_link_libraries(weld_llvm_module INTERFACE ${llvm_static})
  target_link_options(weld_llvm_module INTERFACE -Wl,--gc-sections ${WELD_LLVM_GCC})
  if(WELD_PACKED_RELOCATIONS)
    target_link_options(weld_llvm_module INTERFACE -Wl,-z,pack-relative-relocs)
  endif()
else()
  target_link_libraries(weld_llvm_module INTERFACE weld_llvm)
endif()
