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

# deq_library(NAME DEPENDENCY...): library deq_NAME from NAME/**/*.cpp (train/main.cpp is the program), and *.cu with
# CUDA. Headers under core/cuda that need no toolkit are compiled by the tests of every build.
function(deq_library name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${name}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "train/main\\.cpp$")
  if(DEQ_CUDA)
    file(GLOB_RECURSE cuda_sources CONFIGURE_DEPENDS ${name}/*.cu)
    list(APPEND sources ${cuda_sources})
  else()
    list(FILTER sources EXCLUDE REGEX "core/cuda/[^/]*\\.cpp$")
  endif()
  if(NOT sources)
    add_library(deq_${name} INTERFACE)
    set(scope INTERFACE)
  else()
    add_library(deq_${name} STATIC ${sources})
    set(scope PUBLIC)
    # Not linked to, for the package of the build tree would have to hold it.
    target_compile_options(deq_${name} PRIVATE $<TARGET_PROPERTY:deq_warnings,INTERFACE_COMPILE_OPTIONS>)
    set_target_properties(deq_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  endif()
  add_library(deq::${name} ALIAS deq_${name})
  target_include_directories(deq_${name} ${scope} $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}>
                             $<INSTALL_INTERFACE:include/deq>)
  target_compile_features(deq_${name} ${scope} cxx_std_20)
  foreach(dependency IN LISTS ARGN)
    target_link_libraries(deq_${name} ${scope} deq_${dependency})
  endforeach()
endfunction()
