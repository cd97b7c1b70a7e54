# What `cmake --install` puts under the prefix: lib/libweld.so, include/weld.h, and how to find them with pkg-config
# (weld.pc) and CMake (find_package(weld), target weld::weld). What adapters add is in WeldAdapters.cmake.
include(CMakePackageConfigHelpers)

install(TARGETS weld EXPORT weld-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        PUBLIC_HEADER DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT weld-targets NAMESPACE weld:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/weld)

configure_package_config_file(cmake/weld-config.cmake.in ${CMAKE_BINARY_DIR}/generated/weld-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/weld)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/generated/weld-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/generated/weld-config.cmake ${CMAKE_BINARY_DIR}/generated/weld-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/weld)

# Relative to the file itself, so that an installed tree may be moved.
configure_file(cmake/weld.pc.in ${CMAKE_BINARY_DIR}/generated/weld.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/generated/weld.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
