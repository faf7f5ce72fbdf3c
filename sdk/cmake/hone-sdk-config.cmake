# hone-sdk-config.cmake -- find_package(hone-sdk): the target hone::sdk and the function hone_add_plugin().
include(${CMAKE_CURRENT_LIST_DIR}/hone-sdk-targets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/hone-plugin.cmake)
get_filename_component(HONE_SDK_PREFIX ${CMAKE_CURRENT_LIST_DIR}/../../.. ABSOLUTE)
