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
