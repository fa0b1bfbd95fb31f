// fallow: the operator's command.
#include <unistd.h>

#include <iostream>

#include "cli/commands.h"

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  return fallow::cli::run(words, {std::cin, std::cout, std::cerr, ::isatty(STDOUT_FILENO) == 1});
}
