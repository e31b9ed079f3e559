# cmake -DBUILD=... -DSOURCE=... -DWORK=... -P run.cmake: installs the build to WORK/prefix, then configures, builds and
# runs the project in SOURCE against what was installed.
function(run name)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE text ERROR_VARIABLE text RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${name}: exit status ${status}\n${text}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(install ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
run(configure ${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/build -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH=${WORK}/prefix)
run(build ${CMAKE_COMMAND} --build ${WORK}/build)
run(consumer ${WORK}/build/consumer)
run(consumer_train ${WORK}/build/consumer_train)
run(program ${WORK}/prefix/bin/deq --version)
file(REMOVE_RECURSE ${WORK})
