# Compiler settings shared by every target, and two helpers that keep the folders' lists short.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

find_program(FALLOW_CCACHE ccache)
if(FALLOW_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${FALLOW_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${FALLOW_CCACHE})
endif()

find_package(Threads REQUIRED)
find_package(GTest REQUIRED)
include(GoogleTest)

add_library(fallow_options INTERFACE)
target_include_directories(fallow_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(fallow_options INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor
                                                -Wconversion -Wno-sign-conversion)
target_link_libraries(fallow_options INTERFACE Threads::Threads)

# The baseline is x86-64-v2 (every server since 2009): it brings the CRC and SSE4 instructions.
target_compile_options(fallow_options INTERFACE -march=x86-64-v2)

if(FALLOW_SANITIZE)
  target_compile_options(fallow_options INTERFACE -fsanitize=${FALLOW_SANITIZE}
                                                  -fno-omit-frame-pointer
                                                  -fno-sanitize-recover=all)
  target_link_options(fallow_options INTERFACE -fsanitize=${FALLOW_SANITIZE})
endif()

if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo" AND NOT FALLOW_SANITIZE)
  target_compile_options(fallow_options INTERFACE -D_GLIBCXX_ASSERTIONS -fstack-protector-strong
                                                  -fcf-protection -U_FORTIFY_SOURCE
                                                  -D_FORTIFY_SOURCE=3)
  target_link_options(fallow_options INTERFACE -Wl,-z,relro,-z,now)
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  include(CheckPIESupported)
  check_pie_supported()
endif()

# fallow_library(NAME SOURCES a.cc b.cc DEPS fallow_base ... [TESTS a_test.cc ...])
# Tests become one program, NAME_test, whose cases ctest lists one by one.
function(fallow_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;TESTS;TEST_DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC fallow_options ${ARG_DEPS})
  if(ARG_TESTS)
    fallow_test(${name}_test SOURCES ${ARG_TESTS} DEPS ${name} ${ARG_TEST_DEPS})
  endif()
endfunction()

# fallow_test(NAME SOURCES a_test.cc DEPS lib ... [LABELS slow ...] [TIMEOUT seconds])
# The programs run whole, one ctest entry each: gtest prints the cases.
function(fallow_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE fallow_options ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
                       ENVIRONMENT "FALLOW_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
endfunction()

# Debian's gRPC is not instrumented: ThreadSanitizer does not see what orders the calls that pass
# through it, and reports races that are none. scripts/test leaves these tests out under it.
function(fallow_test_runs_grpc name)
  set_property(TEST ${name} APPEND PROPERTY LABELS grpc)
endfunction()

# fallow_program(NAME SOURCES main.cc DEPS lib ...)
function(fallow_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE fallow_options ${ARG_DEPS})
endfunction()
