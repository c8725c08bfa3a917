// SPDX-License-Identifier: MIT
#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>
#include <optional>

#include "cli/commands.h"
#include "fffa/config.h"

namespace fffa::core {
namespace {

// The text of a duration is checked as an option of that type is.
std::optional<std::chrono::nanoseconds> parse_duration(const std::string& text, std::string& problem) {
  ConfigNode node;
  node.kind = ConfigNode::Kind::scalar;
  node.value = text;
  std::chrono::nanoseconds value{};
  Diagnostics diagnostics;
  if (read_config(node, "--duration", value, diagnostics) && value.count() > 0) return value;
  problem = diagnostics.empty() ? "--duration: must be longer than 0" : to_string(diagnostics.all().front());
  return std::nullopt;
}

// The command line as CLI11 fills it in.
class Program {
 public:
  Program() {
    app_.set_version_flag("--version", std::string("fffa ") + FFFA_VERSION);
    app_.require_subcommand(1);
    app_.footer(
        "Exit codes: 0 all is well, 1 a stage could not be built or started, or failed, 2 command line or\n"
        "configuration, 3 a privilege or a kernel feature is missing, 4 data was lost.");
    app_.fallthrough();  // what every command takes may stand behind it
    app_.add_option("--plugin-path", common_.plugin_path, "Look for plugins in this folder first; may be repeated")
        ->option_text("DIR")
        ->allow_extra_args(false);
    app_.add_option("--set", common_.overrides,
                    "Override one value, as in sources.capture.interfaces=[eth1]; may be repeated")
        ->option_text("KEY=VALUE")
        ->allow_extra_args(false);
    app_.add_option("--log-format", common_.log_format, "text or json")
        ->option_text("FORMAT")
        ->check(CLI::IsMember({"text", "json"}));
    app_.add_option("--log-level", common_.log_level, "trace, debug, info, warning or error")
        ->option_text("LEVEL")
        ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error"}))
        ->transform(CLI::Transformer(std::vector<std::pair<std::string, std::string>>{{"warn", "warning"}}));
    add_pipeline_commands();
    add_other_commands();
  }

  ExitCode run(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() != 0 && names_unknown_command()) return ExitCode::usage;
      return app_.exit(error) == 0 ? ExitCode::ok : ExitCode::usage;
    }
    return command_();
  }

 private:
  // A word where a command belongs that is none: CLI11 would only say that one is missing.
  bool names_unknown_command() const {
    const CLI::App* at = &app_;
    if (const auto given = app_.get_subcommands(); !given.empty()) at = given.front();
    std::vector<std::string> commands;
    for (const CLI::App* command : at->get_subcommands([](const CLI::App*) { return true; })) {
      commands.push_back(command->get_name());
    }
    const auto words = app_.remaining(true);
    if (commands.empty() || !at->get_subcommands().empty() || words.empty() || words.front().starts_with('-'))
      return false;
    const std::string near = nearest(words.front(), commands);
    std::fprintf(stderr, "%s: there is no command `%s` (%s)\n", at == &app_ ? "fffa" : "fffa plugins",
                 words.front().c_str(),
                 near.empty() ? "`fffa --help` lists them" : ("did you mean `" + near + "`?").c_str());
    return true;
  }

  CLI::App app_{"Flow monitor and plugin framework: runs the pipeline that YAML files describe.", "fffa"};
  CommonOptions common_;
  RunOptions run_;
  std::optional<std::string> duration_;
  std::string format_ = "text";
  std::string plugin_;
  std::function<ExitCode()> command_;

  CLI::App* add(CLI::App& to, const std::string& name, const std::string& help, std::function<ExitCode()> command) {
    CLI::App* added = to.add_subcommand(name, help);
    added->callback([this, command = std::move(command)] { command_ = command; });
    added->footer("The options that `fffa --help` lists (--set, --plugin-path, --log-level, ...) may follow too.");
    return added;
  }
  CLI::App* add_with_files(const std::string& name, const std::string& help, std::function<ExitCode()> command) {
    CLI::App* added = add(app_, name, help, std::move(command));
    added->add_option("FILE", run_.files, "Configuration; each further file is laid over those before it")->required();
    return added;
  }
  void add_format(CLI::App* to, std::vector<std::string> formats) {
    const std::string help = "One of " + CLI::detail::join(formats, ", ") + " (the first if not given)";
    to->add_option("--format", format_, help)->option_text("FORMAT")->check(CLI::IsMember(std::move(formats)));
  }

  ExitCode start_run() {
    if (duration_) {  // given, if only as an empty text: that is a mistake, not "for ever"
      std::string problem;
      run_.duration = parse_duration(*duration_, problem);
      if (!run_.duration) return std::fprintf(stderr, "%s\n", problem.c_str()), ExitCode::usage;
    }
    return command_run(common_, run_);
  }

  void add_pipeline_commands() {
    CLI::App* run =
        add_with_files("run", "Run a pipeline until its input ends or it is stopped", [this] { return start_run(); });
    run->add_option("--duration", duration_, "Stop after this time, such as 30s")->option_text("TIME");
    add_with_files("validate", "Check a configuration: nothing is opened or attached",
                   [this] { return command_validate(common_, run_.files); });
    add_format(
        add_with_files("graph", "Draw a pipeline", [this] { return command_graph(common_, run_.files, format_); }),
        {"text", "mermaid"});
  }

  void add_other_commands() {
    CLI::App* plugins = app_.add_subcommand("plugins", "What plugins there are, and their options");
    plugins->require_subcommand(0, 1);
    plugins->parse_complete_callback([this] { command_ = [this] { return command_plugins_list(common_); }; });
    add(*plugins, "list", "All stage types (what `fffa plugins` does)",
        [this] { return command_plugins_list(common_); });
    add(*plugins, "describe", "The options of one stage type",
        [this] { return command_plugins_describe(common_, plugin_); })
        ->add_option("NAME", plugin_, "Stage type")
        ->required();
    add_format(add(app_, "fields", "The fields of a flow record", [this] { return command_fields(format_); }),
               {"text", "markdown", "json"});
    add(app_, "schema", "JSON Schema of a configuration", [this] { return command_schema(common_); });
    add(app_, "interfaces", "Network interfaces, and how they would be watched",
        [this] { return command_interfaces(common_); });
    add(app_, "doctor", "What this machine and these privileges allow", [this] { return command_doctor(common_); });
  }
};

}  // namespace

int run_cli(int argc, const char* const* argv) noexcept try {
  Program program;
  return static_cast<int>(program.run(argc, argv));
} catch (const std::exception& error) {
  std::fprintf(stderr, "fffa: internal error: %s\n", error.what());
  return static_cast<int>(ExitCode::failed);
}

}  // namespace fffa::core
