# What each folder needs from the system. Everything is found, nothing is downloaded.

target_link_libraries(deq_core PUBLIC OpenMP::OpenMP_CXX)
# OpenBLAS: the OpenMP build shares one thread pool with oneDNN and our kernels.
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
target_link_libraries(deq_core PRIVATE PkgConfig::OPENBLAS)
if(DEQ_CPU_ONEDNN)
  find_package(dnnl REQUIRED)
  target_link_libraries(deq_core PRIVATE DNNL::dnnl)
  set(unused_convolution core/cpu/conv_gemm.cpp)
else()
  set(unused_convolution core/cpu/onednn.cpp core/cpu/conv.cpp core/cpu/conv_unit.cpp core/cpu/sample_conv.cpp
      core/cpu/turned_conv.cpp)
endif()
# Two implementations of one interface; the other one stays visible in editors.
set_source_files_properties(${unused_convolution} PROPERTIES HEADER_FILE_ONLY ON)

# The CPU kernels are loops that the compiler vectorises; errno and trap semantics would keep it from doing so.
file(GLOB cpu_kernels CONFIGURE_DEPENDS core/cpu/*.cpp)
set(cpu_kernel_options -fno-math-errno -fno-trapping-math)
if(NOT DEQ_SANITIZE)
  list(APPEND cpu_kernel_options $<$<CONFIG:Release>:-O3>)
endif()
set_source_files_properties(${cpu_kernels} PROPERTIES COMPILE_OPTIONS "${cpu_kernel_options}")
# What a norm takes in must keep the bits of a launch of its own (core/rounded_product.h).
set_source_files_properties(core/cpu/group_norm.cpp PROPERTIES COMPILE_OPTIONS
                            "${cpu_kernel_options};-ffp-contract=off")

# The toolkit is for the sources of core/cuda alone: all others compile as in a build without CUDA, by the same commands,
# so that a compiler cache serves both.
if(DEQ_CUDA)
  file(GLOB cuda_sources CONFIGURE_DEPENDS core/cuda/*.cpp core/cuda/*.cu)
  add_library(deq_core_cuda OBJECT ${cuda_sources})
  deq_compile_options(deq_core_cuda)
  target_link_libraries(deq_core_cuda PRIVATE OpenMP::OpenMP_CXX CUDA::cudart_static CUDA::cublasLt)
  target_include_directories(deq_core_cuda SYSTEM PRIVATE ${DEQ_CUDNN_INCLUDE})
  target_compile_options(deq_core_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr>)
  target_sources(deq_core PRIVATE $<TARGET_OBJECTS:deq_core_cuda>)
  target_link_libraries(deq_core PRIVATE $<LINK_ONLY:CUDA::cudart_static> $<LINK_ONLY:CUDA::cublasLt>
                        ${DEQ_CUDNN_LIBRARY})
endif()

# data: gzip and bzip2 for archives, OpenSSL for digests, curl for downloads, stb for image files, JSON for safetensors
# headers; the loader has its own threads.
find_package(ZLIB REQUIRED)
find_package(BZip2 REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(CURL REQUIRED)
find_package(Threads REQUIRED)
find_path(DEQ_STB_INCLUDE stb/stb_image.h REQUIRED)
# Headers alone, so that users of the libraries need neither JSON nor CLI11.
set(json_headers $<TARGET_PROPERTY:nlohmann_json::nlohmann_json,INTERFACE_INCLUDE_DIRECTORIES>)
target_include_directories(deq_data SYSTEM PRIVATE ${DEQ_STB_INCLUDE} ${json_headers})
target_link_libraries(deq_data PUBLIC Threads::Threads PRIVATE ZLIB::ZLIB BZip2::BZip2
                      OpenSSL::Crypto CURL::libcurl)

# train: TOML for configurations, CLI11 for the command line, JSON for records, zlib for checksums, cairo for charts.
if(TARGET deq_train)
  pkg_check_modules(TOMLPLUSPLUS REQUIRED IMPORTED_TARGET tomlplusplus)
  find_package(CLI11 REQUIRED)
  pkg_check_modules(CAIRO REQUIRED IMPORTED_TARGET cairo)
  target_link_libraries(deq_train PRIVATE PkgConfig::TOMLPLUSPLUS PkgConfig::CAIRO ZLIB::ZLIB)
  target_include_directories(deq_train SYSTEM PRIVATE ${json_headers}
                             $<TARGET_PROPERTY:CLI11::CLI11,INTERFACE_INCLUDE_DIRECTORIES>)
  target_compile_definitions(deq_train PRIVATE
    DEQ_VERSION="${PROJECT_VERSION}" DEQ_BUILD_TYPE="${CMAKE_BUILD_TYPE}" DEQ_SANITIZER="${DEQ_SANITIZE}"
    $<$<BOOL:${DEQ_CPU_ONEDNN}>:DEQ_CPU_ONEDNN=1>)
  if(DEQ_CUDA)
    set_source_files_properties(train/make_backend.cpp train/build_info.cpp PROPERTIES COMPILE_DEFINITIONS DEQ_CUDA=1)
  endif()
endif()
