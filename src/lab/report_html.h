// The report of a run: one HTML file that needs nothing else, and the data files beside it.
#pragma once

#include <string>
#include <vector>

#include "lab/lab_record.h"

namespace fallow::lab {

// Figures in the order shown, each an <svg> element.
struct ReportFigures {
  std::vector<std::string> times{};   // one a VM
  std::vector<std::string> frames{};  // one a policy
};

std::string to_html(const LabRecord& record, const ReportFigures& figures);

// Writes report.html, frames.csv, steps.csv and result.json into `folder`, which is made if it is
// not there.
Status write_report(const LabRecord& record, const std::string& folder);

}  // namespace fallow::lab
