package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	alloy "github.com/grafana/alloy/syntax/parser"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/prometheus/prometheus/model/rulefmt"
	"go.yaml.in/yaml/v3"
)

const (
	runbook     = "../../docs/runbook.md"
	metricsPage = "../../docs/metrics.md"
	rulesFolder = "rules"
	testsFolder = "rules/tests"
)

// Series that Prometheus and its probe make, which docs/metrics.md does not list.
var foreign = map[string]bool{"up": true, "scrape_samples_scraped": true, "probe_success": true, "probe_ssl_earliest_cert_expiry": true}

// Counters that appear with their first event, so that a healthy hub has none of their series.
var appearLater = map[string]string{
	"actors_hung_total":         "appears when a part hangs",
	"unreadable_rows_total":     "appears when a row cannot be read",
	"deliveries_without_driver": "appears while a delivery waits in a zone in which no driver is on",
}

// ruleFile is a file of rules as Prometheus reads it.
type ruleFile struct {
	path   string
	groups *rulefmt.RuleGroups
}

func readRules() ([]ruleFile, error) {
	paths, err := filepath.Glob(rulesFolder + "/*.yml")
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no rules in %s: %w", rulesFolder, err)
	}
	var files []ruleFile
	for _, path := range paths {
		groups, problems := rulefmt.ParseFile(path, false)
		if len(problems) > 0 {
			return nil, fmt.Errorf("%s: %w", path, errors.Join(problems...))
		}
		files = append(files, ruleFile{path, groups})
	}
	return files, nil
}

func checkAll() error {
	files, err := readRules()
	if err != nil {
		return err
	}
	var problems []error
	note := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	note(checkAlerts(files))
	note(checkMetrics(files))
	note(checkTests(files))
	note(checkBoards())
	note(checkDashboards())
	note(checkTexts())
	return errors.Join(problems...)
}

// checkAlerts holds each alert to a severity, a team, and an entry of the runbook under its name.
func checkAlerts(files []ruleFile) error {
	page, err := os.ReadFile(runbook)
	if err != nil {
		return err
	}
	anchors := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ +(.+)$`).FindAllStringSubmatch(string(page), -1) {
		anchors[anchor(heading[1])] = true
	}
	for _, id := range regexp.MustCompile(`<a (?:id|name)="([^"]+)"`).FindAllStringSubmatch(string(page), -1) {
		anchors[id[1]] = true
	}
	var problems []error
	for _, rule := range rules(files) {
		if rule.Alert == "" {
			continue
		}
		name := strings.ToLower(rule.Alert)
		if severity := rule.Labels["severity"]; severity != "page" && severity != "ticket" {
			problems = append(problems, fmt.Errorf("%s: severity %q is neither page nor ticket", rule.Alert, severity))
		}
		if team := rule.Labels["team"]; team != "platform" && team != "operations" {
			problems = append(problems, fmt.Errorf("%s: team %q is unknown", rule.Alert, team))
		}
		if url := rule.Annotations["runbook_url"]; !strings.HasSuffix(url, "runbook.md#"+name) {
			problems = append(problems, fmt.Errorf("%s: runbook_url %q does not end in runbook.md#%s", rule.Alert, url, name))
		}
		if !anchors[name] {
			problems = append(problems, fmt.Errorf("%s has no entry #%s", rule.Alert, name))
		}
	}
	return errors.Join(problems...)
}

// anchor is the name under which a heading is linked to.
func anchor(heading string) string {
	heading = strings.ToLower(strings.TrimSpace(heading))
	heading = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(heading, "")
	return strings.ReplaceAll(heading, " ", "-")
}

func rules(files []ruleFile) []rulefmt.Rule {
	var all []rulefmt.Rule
	for _, file := range files {
		for _, group := range file.groups.Groups {
			all = append(all, group.Rules...)
		}
	}
	return all
}

// checkMetrics holds every metric that is asked for to docs/metrics.md and the recorded rules.
func checkMetrics(files []ruleFile) error {
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, name := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| ([a-z]+)").FindAllStringSubmatch(string(page), -1) {
		known[name[1]] = true
		if name[2] == "histogram" {
			known[name[1]+"_bucket"], known[name[1]+"_sum"], known[name[1]+"_count"] = true, true, true
		}
	}
	for _, rule := range rules(files) {
		known[rule.Record] = true
	}
	var problems []error
	for _, asked := range questions(files) {
		selectors, err := selectorsOf(asked.expr)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", asked.where, err))
		}
		for _, selector := range selectors {
			if !known[selector.Name] && !foreign[selector.Name] {
				problems = append(problems, fmt.Errorf("%s: %s is no metric of docs/metrics.md", asked.where, selector.Name))
			}
		}
	}
	return errors.Join(problems...)
}

// checkTests holds the tests to every alert, and the two in which nothing may fire to every metric: a rule without data is silent too.
func checkTests(files []ruleFile) error {
	var problems []error
	fires, err := os.ReadFile(testsFolder + "/fires.yml")
	if err != nil {
		return err
	}
	for _, rule := range rules(files) {
		if rule.Alert != "" && !bytes.Contains(fires, []byte(`ALERTS{alertname="`+rule.Alert+`",`)) {
			problems = append(problems, fmt.Errorf("no test in fires.yml lets %s fire", rule.Alert))
		}
	}
	for _, file := range []string{"healthy.yml", "quiet_night.yml"} {
		text, err := os.ReadFile(filepath.Join(testsFolder, file))
		if err != nil {
			return err
		}
		for _, rule := range rules(files) {
			selectors, err := selectorsOf(rule.Expr)
			if err != nil {
				return err
			}
			for _, selector := range selectors {
				_, later := appearLater[selector.Name]
				one := file == "quiet_night.yml" && onlyWithSeveral[selector.Name]
				recorded := strings.Contains(selector.Name, ":")
				if !recorded && !later && !one && !bytes.Contains(text, []byte("series: '"+selector.Name+"{")) {
					problems = append(problems, fmt.Errorf("%s has no series %s", file, selector.Name))
				}
			}
		}
	}
	return errors.Join(problems...)
}

// Metrics that a single hub without Redis and without a standby does not have.
var onlyWithSeveral = map[string]bool{"bridge_lag_seconds_bucket": true, "database_replica_lag_seconds": true}

// checkDashboards reads each dashboard as the library of Grafana does, which knows every field of every panel.
func checkDashboards() error {
	// Without them the options and fields of panels, and their queries, are not looked at.
	plugins.RegisterDefaultPlugins()
	var problems []error
	for _, board := range boards() {
		path := boardPath(board)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var read dashboard.Dashboard
		for _, err := range []error{read.UnmarshalJSONStrict(text), read.Validate()} {
			// The library returns a list of problems, which may be empty.
			var list cog.BuildErrors
			if err != nil && (!errors.As(err, &list) || len(list) > 0) {
				problems = append(problems, fmt.Errorf("%s: %w", path, err))
			}
		}
	}
	return errors.Join(problems...)
}

// checkTexts parses what has no program here: the collector's configuration by its own parser, the rest as YAML.
func checkTexts() error {
	var problems []error
	path := "alloy/config.alloy"
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if _, err := alloy.ParseFile(path, text); err != nil {
		problems = append(problems, fmt.Errorf("%s: %w", path, err))
	}
	for _, folder := range []string{"loki", "grafana", "blackbox", "prometheus/targets"} {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".yml") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			var read any
			if err := yaml.Unmarshal(text, &read); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", path, err))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(problems...)
}
