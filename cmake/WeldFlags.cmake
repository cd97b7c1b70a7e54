# weld_flags: how every file of ours is compiled.
include(CheckCCompilerFlag)

add_library(weld_flags INTERFACE)
target_compile_options(weld_flags INTERFACE -Wall -Wextra -Wshadow)
target_compile_options(weld_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>)
# The interpreter must round after every operation; values are read through pointers of several types.
target_compile_options(weld_flags INTERFACE -ffp-contract=off -fno-strict-aliasing -fno-math-errno)
target_compile_definitions(weld_flags INTERFACE _GNU_SOURCE WELD_VERSION="${PROJECT_VERSION}")
if(WELD_WERROR)
  target_compile_options(weld_flags INTERFACE -Werror)
endif()
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)

# Sanitizers go into everything, clients and tests included.
if(WELD_SANITIZE)
  add_compile_options(-fsanitize=${WELD_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WELD_SANITIZE})
  # Machine code made at run time has no signature in front of it for this check to read.
  if(CMAKE_C_COMPILER_ID STREQUAL "Clang" AND WELD_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize=function)
  endif()
endif()
# Fuzz targets need coverage of the libraries; without a sanitizer of their own they bring these two.
if(WELD_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "WELD_FUZZ needs clang")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
  if(NOT WELD_SANITIZE)
    add_compile_options(-fsanitize=address,undefined -fno-sanitize=function -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=address,undefined)
  endif()
endif()
