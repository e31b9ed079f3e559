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

# What `deq new` makes builds and trains as it is, with the installed package and with that of the build tree.
foreach(program ${WORK}/prefix/bin/deq ${BUILD}/deq)
  string(MD5 folder ${program})
  run(new ${program} new ${WORK}/${folder}/mine/)
  run(configure_new ${CMAKE_COMMAND} -S ${WORK}/${folder}/mine -B ${WORK}/${folder}/build -G ${GENERATOR}
      -DCMAKE_CXX_COMPILER=${COMPILER})
endforeach()
run(build_new ${CMAKE_COMMAND} --build ${WORK}/${folder}/build)
run(train_new ${WORK}/${folder}/build/mine --epochs 2 --train-images 512 --batch 32 --out ${WORK}/mine.safetensors)
if(NOT EXISTS ${WORK}/mine.safetensors)
  message(FATAL_ERROR "the new project saved nothing")
endif()
file(REMOVE_RECURSE ${WORK})
