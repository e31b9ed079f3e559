# The CUDA toolkit and cuDNN 9, wherever they usually are: the system, /usr/local/cuda, the folders of Python wheels.
# Names what is missing. Called when DEQ_CUDA is on.

set(DEQ_CUDA_ARCHITECTURES "80-real;86-real;89-real;90" CACHE STRING
    "GPU architectures: machine code for each, and code for newer ones (PTX) where '-real' is missing")

# Folders of the wheels (nvidia/cu13/lib, nvidia/cudnn/include, ...) of the python3 that is first in PATH.
set(DEQ_WHEEL_FOLDERS "")
find_program(DEQ_PYTHON NAMES python3)
if(DEQ_PYTHON)
  execute_process(COMMAND ${DEQ_PYTHON} -c "import site; print(';'.join(site.getsitepackages() + [site.getusersitepackages()]))"
                  OUTPUT_VARIABLE site_folders OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  foreach(folder IN LISTS site_folders)
    file(GLOB wheels LIST_DIRECTORIES true ${folder}/nvidia/*)
    list(APPEND DEQ_WHEEL_FOLDERS ${wheels})
  endforeach()
endif()

if(NOT CMAKE_CUDA_COMPILER)
  find_program(DEQ_NVCC NAMES nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH
               PATHS /usr/local/cuda /opt/cuda ${DEQ_WHEEL_FOLDERS} PATH_SUFFIXES bin)
  if(NOT DEQ_NVCC)
    message(FATAL_ERROR "DEQ_CUDA is on, but there is no CUDA compiler: nvcc is neither in PATH nor in /usr/local/cuda; "
                        "install the CUDA toolkit, name nvcc with -DCMAKE_CUDA_COMPILER=..., or use -DDEQ_CUDA=OFF")
  endif()
  set(CMAKE_CUDA_COMPILER ${DEQ_NVCC})
endif()
set(CMAKE_CUDA_ARCHITECTURES ${DEQ_CUDA_ARCHITECTURES})
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 knows C++20 for other compilers only
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
find_package(CUDAToolkit REQUIRED)
if(NOT TARGET CUDA::cublasLt)
  message(FATAL_ERROR "DEQ_CUDA is on, but the toolkit at ${CUDAToolkit_LIBRARY_DIR} has no cublasLt")
endif()

# Reads CUDNN_MAJOR of the headers in `folder`; empty when there are none.
function(deq_cudnn_major folder result)
  set(${result} "" PARENT_SCOPE)
  foreach(header cudnn_version.h cudnn_version_v9.h)
    if(EXISTS ${folder}/${header})
      file(STRINGS ${folder}/${header} line REGEX "^#define CUDNN_MAJOR [0-9]+")
      if(line MATCHES "([0-9]+)")
        set(${result} ${CMAKE_MATCH_1} PARENT_SCOPE)
      endif()
    endif()
  endforeach()
endfunction()

# The first place that has both headers and library of version 9: toolkit, system, wheels.
set(DEQ_CUDNN_INCLUDE "" CACHE PATH "Folder of cudnn.h")
set(DEQ_CUDNN_LIBRARY "" CACHE FILEPATH "libcudnn.so of version 9")
set(cudnn_roots ${CUDAToolkit_TARGET_DIR} ${CUDAToolkit_LIBRARY_ROOT} /usr/local/cuda /usr/local /usr ${DEQ_WHEEL_FOLDERS})
set(cudnn_seen "")
foreach(root IN LISTS cudnn_roots)
  if(DEQ_CUDNN_INCLUDE AND DEQ_CUDNN_LIBRARY)
    break()
  endif()
  deq_cudnn_major(${root}/include major)
  if(NOT major)
    continue()
  endif()
  string(APPEND cudnn_seen " ${root}/include (version ${major})")
  unset(library CACHE)
  find_library(library NAMES cudnn libcudnn.so.9 PATHS ${root} PATH_SUFFIXES lib64 lib lib/x86_64-linux-gnu NO_DEFAULT_PATH)
  if(major EQUAL 9 AND library)
    set(DEQ_CUDNN_INCLUDE ${root}/include CACHE PATH "Folder of cudnn.h" FORCE)
    set(DEQ_CUDNN_LIBRARY ${library} CACHE FILEPATH "libcudnn.so of version 9" FORCE)
  endif()
endforeach()
unset(library CACHE)
if(NOT DEQ_CUDNN_INCLUDE OR NOT DEQ_CUDNN_LIBRARY)
  if(NOT cudnn_seen)
    set(cudnn_seen " none")
  endif()
  message(FATAL_ERROR "DEQ_CUDA is on, but cuDNN 9 (cudnn.h and libcudnn.so) was not found; seen:${cudnn_seen}. "
                      "Install it, or name both with -DDEQ_CUDNN_INCLUDE=... -DDEQ_CUDNN_LIBRARY=...")
endif()
message(STATUS "CUDA ${CUDAToolkit_VERSION} for ${DEQ_CUDA_ARCHITECTURES}, cuDNN at ${DEQ_CUDNN_LIBRARY}")
