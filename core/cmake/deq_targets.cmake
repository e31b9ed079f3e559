# One library per folder, so that the link line repeats the layering.

add_library(deq_warnings INTERFACE)
set(warnings -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
# What nvcc hands to the host compiler is generated: its line markers are not pedantic, its stubs shadow and convert.
set(cuda_warnings -Xcompiler=-Wall,-Wextra,-Wno-unused-parameter -Xcudafe --display_error_number)
if(DEQ_WERROR)
  list(APPEND warnings -Werror)
  list(APPEND cuda_warnings -Werror=all-warnings)
endif()
target_compile_options(deq_warnings INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${warnings}>"
                                              "$<$<COMPILE_LANGUAGE:CUDA>:${cuda_warnings}>")
# For every source of the project or for none: an inline function must not exist in two instruction sets.
if(DEQ_NATIVE)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-march=native> $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-march=native>)
endif()
if(DEQ_SANITIZE)
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${DEQ_SANITIZE};-fno-omit-frame-pointer;-g>")
  add_link_options(-fsanitize=${DEQ_SANITIZE})
endif()

# How sources of the libraries compile.
function(deq_compile_options target)
  # Not linked to, for the package of the build tree would have to hold it.
  target_compile_options(${target} PRIVATE $<TARGET_PROPERTY:deq_warnings,INTERFACE_COMPILE_OPTIONS>)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}>
                             $<INSTALL_INTERFACE:include/deq>)
  target_compile_features(${target} PUBLIC cxx_std_20)
endfunction()

# deq_library(NAME DEPENDENCY...): library deq_NAME from NAME/**/*.cpp (train/main.cpp is the program; core/cuda needs the
# toolkit and comes with core/cmake/deq_dependencies.cmake). Headers under core/cuda that need no toolkit are compiled by
# the tests of every build.
function(deq_library name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${name}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "train/main\\.cpp$|core/cuda/[^/]*\\.cpp$")
  add_library(deq_${name} STATIC ${sources})
  add_library(deq::${name} ALIAS deq_${name})
  deq_compile_options(deq_${name})
  foreach(dependency IN LISTS ARGN)
    target_link_libraries(deq_${name} PUBLIC deq_${dependency})
  endforeach()
endfunction()
