# The files that `deq new` writes (train/project_template), as a source of deq_train.
set(template_entries "")
file(GLOB templates CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/train/project_template/*.in)
foreach(template IN LISTS templates)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${template})
  get_filename_component(template_name ${template} NAME)
  string(REGEX REPLACE "\\.in$" "" template_name ${template_name})
  string(REGEX REPLACE "^gitignore$" ".gitignore" template_name ${template_name})
  file(READ ${template} template_text)
  string(APPEND template_entries "    {\"${template_name}\", R\"template(${template_text})template\"},\n")
endforeach()
set(template_source ${CMAKE_BINARY_DIR}/generated/project_template.cpp)
file(CONFIGURE OUTPUT ${template_source} @ONLY CONTENT [[
#include "train/project.h"

namespace deq {

std::span<const ProjectFile> project_template() {
  static constexpr ProjectFile kFiles[] = {
@template_entries@  };
  return kFiles;
}

}  // namespace deq
]])
target_sources(deq_train PRIVATE ${template_source})
set_source_files_properties(train/project.cpp PROPERTIES
                            COMPILE_DEFINITIONS DEQ_PACKAGE_FOLDER="${CMAKE_INSTALL_LIBDIR}/cmake/deq")
