# hone_add_plugin(NAME KIND model|optimizer|reward|objective|stage SOURCES files... [LIBRARIES libraries...]): one plugin
# library NAME.so that exports hone_plugin_abi1 and nothing else. It lands in lib/hone/<models|optimizers|rewards|stages>/ of
# the build folder, and of the prefix when installed; objectives are stages to a script, and lie among them.
function(hone_add_plugin name)
  cmake_parse_arguments(plugin "" "KIND" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT plugin_KIND MATCHES "^(model|optimizer|reward|objective|stage)$")
    message(FATAL_ERROR "hone_add_plugin(${name}): KIND is \"${plugin_KIND}\"; give model, optimizer, reward, objective or stage")
  endif()
  if(NOT plugin_SOURCES)
    message(FATAL_ERROR "hone_add_plugin(${name}): no SOURCES")
  endif()
  set(room ${plugin_KIND})
  if(room STREQUAL "objective")
    set(room stage)
  endif()
  set(exports ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/hone-plugin.map)
  set(target hone_${room}_${name})
  add_library(${target} MODULE ${plugin_SOURCES})
  target_link_libraries(${target} PRIVATE hone::sdk ${plugin_LIBRARIES})
  target_compile_features(${target} PRIVATE cxx_std_20)
  target_link_options(${target} PRIVATE "LINKER:--version-script=${exports}")
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX ".so" OUTPUT_NAME ${name} LINK_DEPENDS ${exports} POSITION_INDEPENDENT_CODE ON
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/hone/${room}s)
  install(TARGETS ${target} LIBRARY DESTINATION lib/hone/${room}s)
endfunction()

# hone_add_plugin_test(NAME SOURCES files...): a test program of the plugin's own source and its test (hone/testing.hpp), and
# the target `check`, which builds and runs all tests.
function(hone_add_plugin_test name)
  cmake_parse_arguments(test "" "" "SOURCES" ${ARGN})
  add_executable(${name}_test ${test_SOURCES})
  target_link_libraries(${name}_test PRIVATE hone::sdk)
  target_compile_features(${name}_test PRIVATE cxx_std_20)
  add_test(NAME ${name} COMMAND ${name}_test)
  if(NOT TARGET check)
    add_custom_target(check COMMAND ${CMAKE_CTEST_COMMAND} --output-on-failure)
  endif()
  add_dependencies(check ${name}_test)
  foreach(room model optimizer reward stage)  # so that what `hone check` looks at next is never an old library
    if(TARGET hone_${room}_${name})
      add_dependencies(check hone_${room}_${name})
    endif()
  endforeach()
endfunction()
