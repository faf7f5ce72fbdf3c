# hone_add_plugin(NAME KIND model|optimizer|reward|stage SOURCES files...): one plugin library NAME.so that exports
# hone_plugin_abi1 and nothing else. In hone's own tree it lands in lib/hone/<kind>s/; elsewhere beside the build.
function(hone_add_plugin name)
  cmake_parse_arguments(plugin "" "KIND" "SOURCES;LIBRARIES" ${ARGN})
  set(target hone_${plugin_KIND}_${name})
  add_library(${target} MODULE ${plugin_SOURCES})
  target_link_libraries(${target} PRIVATE hone::sdk ${plugin_LIBRARIES})
  set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME ${name} C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
                        VISIBILITY_INLINES_HIDDEN ON)
  target_compile_features(${target} PRIVATE cxx_std_20)
  if(PROJECT_NAME STREQUAL "hone")
    set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/hone/${plugin_KIND}s)
    install(TARGETS ${target} LIBRARY DESTINATION lib/hone/${plugin_KIND}s)
  endif()
endfunction()
