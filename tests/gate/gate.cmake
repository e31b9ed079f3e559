# cmake -DMODE=counters|instructions -DREFERENCE=... -DROOT=... -DWORK=... -DGENERATOR=... -DCOMPILER=... -P gate.cmake
# Holds counters of tests/gate/small_step.cpp against reference.json; `instructions` under callgrind. The program is built
# in WORK for x86-64-v3 (AVX2) and runs on one thread with oneDNN and OpenBLAS held to AVX2, so that the counters are the
# same on every machine that has AVX2. Times are never looked at.
# DEQ_GATE_UPDATE=1 in the environment writes the measured values into reference.json instead.

file(READ ${REFERENCE} reference)
set(problems "")

# Holds `value` against the stored one; `tolerance` is a share, in parts of a thousand.
function(hold variant counter value tolerance)
  if(DEFINED ENV{DEQ_GATE_UPDATE})
    string(JSON text SET "${reference}" ${variant} ${counter} ${value})
    set(reference "${text}" PARENT_SCOPE)
    return()
  endif()
  string(JSON stored ERROR_VARIABLE missing GET "${reference}" ${variant} ${counter})
  if(missing)
    set(problems "${problems}  ${variant}: ${counter} is ${value}, nothing is stored\n" PARENT_SCOPE)
    return()
  endif()
  math(EXPR room "${stored} * ${tolerance} / 1000")
  math(EXPR low "${stored} - ${room}")
  math(EXPR high "${stored} + ${room}")
  if(value LESS low OR value GREATER high)
    set(problems "${problems}  ${variant}: ${counter} is ${value}, stored ${stored} (allowed ${low} ... ${high})\n"
        PARENT_SCOPE)
  else()
    message(STATUS "${variant}: ${counter} ${value}, stored ${stored}")
  endif()
endfunction()

function(run_or_fail name)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE text ERROR_VARIABLE text RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${name}: exit status ${status}\n${text}")
  endif()
  set(output "${text}" PARENT_SCOPE)
endfunction()

set(fixed_isa ${CMAKE_COMMAND} -E env DNNL_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell OMP_NUM_THREADS=1
    OPENBLAS_NUM_THREADS=1)

file(STRINGS /proc/cpuinfo flags REGEX "avx2" LIMIT_COUNT 1)
find_program(VALGRIND valgrind)
if(NOT flags)
  message("SKIPPED: the counters are those of a processor with AVX2")
  return()
elseif(MODE STREQUAL instructions AND NOT VALGRIND)
  message("SKIPPED: instruction counts need valgrind (tests/install.sh installs it)")
  return()
endif()
run_or_fail(configure ${CMAKE_COMMAND} -S ${ROOT} -B ${WORK} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
            -DCMAKE_BUILD_TYPE=Release -DDEQ_NATIVE=OFF "-DCMAKE_CXX_FLAGS=-march=x86-64-v3" -DDEQ_BENCH=OFF)
run_or_fail(build ${CMAKE_COMMAND} --build ${WORK} --target gate_small_step)

if(MODE STREQUAL counters)
  foreach(variant full bf16)
    run_or_fail(small_step ${fixed_isa} DNNL_VERBOSE=2 ${WORK}/gate_small_step ${variant})
    string(REGEX MATCH "{\"allocations.*}" counters "${output}")
    foreach(counter allocations vendor_allocations map_calls vjp_calls launches map_launches)
      string(JSON value GET "${counters}" ${counter})
      hold(${variant} ${counter} ${value} 0)
    endforeach()
    string(JSON value GET "${counters}" peak_bytes)
    hold(${variant} peak_bytes ${value} 10)
    # Lines such as "onednn_verbose,create:cache_miss,cpu,convolution,..." before and after the marker.
    string(FIND "${output}" "replay begins" replay)
    string(SUBSTRING "${output}" 0 ${replay} before)
    string(SUBSTRING "${output}" ${replay} -1 after)
    string(REGEX MATCHALL "verbose,create:" made "${before}")
    list(LENGTH made value)
    hold(${variant} primitives ${value} 0)
    string(REGEX MATCHALL "verbose,create:" made "${after}")
    list(LENGTH made value)
    hold(${variant} primitives_in_replay ${value} 0)
  endforeach()
else()
  foreach(variant full bf16)
    run_or_fail(callgrind ${fixed_isa} ${VALGRIND} --tool=callgrind --callgrind-out-file=/dev/null
                --toggle-collect=measured_step ${WORK}/gate_small_step ${variant})
    if(NOT output MATCHES "Collected : ([0-9]+)")
      message(FATAL_ERROR "callgrind: no count in\n${output}")
    endif()
    hold(${variant} instructions ${CMAKE_MATCH_1} 30)
  endforeach()
endif()

if(DEFINED ENV{DEQ_GATE_UPDATE})
  file(WRITE ${REFERENCE} "${reference}\n")
  message(STATUS "wrote ${REFERENCE}")
elseif(problems)
  message(FATAL_ERROR "Counters of the small step moved:\n${problems}When that is meant, store the new values with "
          "'DEQ_GATE_UPDATE=1 ctest --test-dir BUILD -R gate' and say why in the commit.")
endif()
