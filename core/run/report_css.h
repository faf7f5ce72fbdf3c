// report_css.h -- the look of report.html, in light and dark.
#pragma once

namespace hone {

const char *report_css();

}  // namespace hone
