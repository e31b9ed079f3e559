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
execute_process(COMMAND ${CMAKE_COMMAND} -E env --unset=OMP_WAIT_POLICY --unset=GOMP_SPINCOUNT OMP_DISPLAY_ENV=VERBOSE
                        ${WORK}/build/consumer
                OUTPUT_QUIET ERROR_VARIABLE text)
if(NOT text MATCHES "GOMP_SPINCOUNT = '2000'")
  message(FATAL_ERROR "limit_spinning changed nothing in a program that links deq::layers:\n${text}")
endif()
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
execute_process(COMMAND ${WORK}/${folder}/build/mine --epochs 1.5 ERROR_VARIABLE text RESULT_VARIABLE status)
if(NOT status EQUAL 2 OR NOT text MATCHES "^mine: --epochs: '1.5' is no whole number from 1 to 100000 ")
  message(FATAL_ERROR "a wrong flag gave exit status ${status}: ${text}")
endif()

# Different losses in two epochs of one image, at a rate that changes nothing.
function(count_losses name result)
  execute_process(COMMAND ${WORK}/${folder}/build/mine --epochs 2 --train-images 1 --batch 1 --lr 1e-12
                          --out ${WORK}/${name}.safetensors
                  OUTPUT_VARIABLE text ERROR_VARIABLE text RESULT_VARIABLE status)
  string(REGEX MATCHALL "epoch [12]: loss [0-9.]+" losses "${text}")
  list(LENGTH losses count)
  if(NOT status EQUAL 0 OR NOT count EQUAL 2)
    message(FATAL_ERROR "${name}: exit status ${status}\n${text}")
  endif()
  list(TRANSFORM losses REPLACE "epoch [12]: " "")
  list(REMOVE_DUPLICATES losses)
  list(LENGTH losses count)
  set(${result} ${count} PARENT_SCOPE)
endfunction()

# Replaces what `deq new` wrote.
function(edit file from to)
  file(READ ${file} text)
  string(REPLACE "${from}" "${to}" changed "${text}")
  if(changed STREQUAL text)
    message(FATAL_ERROR "${file} does not hold: ${from}")
  endif()
  file(WRITE ${file} "${changed}")
endfunction()

# With dropout in f and with SGD: a step draws a mask of its own.
set(mine ${WORK}/${folder}/mine)
count_losses(plain count)
if(NOT count EQUAL 1)
  message(FATAL_ERROR "without dropout, the same image gave two losses")
endif()
edit(${mine}/model.h "outer(scope / \"outer\", width, kGroups) {}"
     "outer(scope / \"outer\", width, kGroups), drop(scope / \"drop\", 0.5) {}")
edit(${mine}/model.h "inner, outer;" "inner, outer;\n  deq::layers::VariationalDropout drop;")
edit(${mine}/model.h "second(deq::relu" "second(drop(deq::relu")
edit(${mine}/model.h "inner(first(z))))" "inner(first(z)))))")
edit(${mine}/train.cpp "optimizer_({.lr" "optimizer_({.name = \"sgd\", .lr")
run(build_dropout ${CMAKE_COMMAND} --build ${WORK}/${folder}/build)
count_losses(dropout count)
if(NOT count EQUAL 2)
  message(FATAL_ERROR "dropout drew the same mask in two steps")
endif()
file(REMOVE_RECURSE ${WORK})
