# What `cmake --install` writes: the program, the libraries, the headers under include/deq (so that "core/graph.h" reads
# the same as here) and a package for find_package(deq).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(installed_folders core autodiff solvers layers data train)
foreach(folder IN LISTS installed_folders)
  set_target_properties(deq_${folder} PROPERTIES EXPORT_NAME ${folder})
  install(TARGETS deq_${folder} EXPORT deqTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY ${folder}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/deq/${folder} FILES_MATCHING PATTERN "*.h")
endforeach()
# Inline functions must not exist in two instruction sets, so users compile as the libraries were.
if(DEQ_NATIVE)
  target_compile_options(deq_core INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=native>)
endif()
install(TARGETS deq RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY train/configs DESTINATION ${CMAKE_INSTALL_DATADIR}/deq)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/deq)
install(EXPORT deqTargets NAMESPACE deq:: DESTINATION ${package_folder})
configure_package_config_file(core/cmake/deqConfig.cmake.in ${CMAKE_BINARY_DIR}/package/deqConfig.cmake
                              INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/deqConfigVersion.cmake COMPATIBILITY SameMinorVersion)
# The same package for projects that use the build tree as it is.
export(EXPORT deqTargets NAMESPACE deq:: FILE ${CMAKE_BINARY_DIR}/package/deqTargets.cmake)
install(FILES ${CMAKE_BINARY_DIR}/package/deqConfig.cmake ${CMAKE_BINARY_DIR}/package/deqConfigVersion.cmake
        DESTINATION ${package_folder})
