package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// question is an expression and where it stands.
type question struct {
	where, expr string
	// Of an alert only the selectors have data while all is well.
	alert bool
}

// questions is every expression of every rule and dashboard.
func questions(files []ruleFile) []question {
	var all []question
	for _, rule := range rules(files) {
		all = append(all, question{rule.Alert + rule.Record, rule.Expr, rule.Alert != ""})
	}
	// What Grafana puts in place of its variables, with a page that shows every node.
	filled := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*")
	for _, board := range boards() {
		for _, row := range board.rows {
			for _, panel := range row.panels {
				for _, query := range panel.queries {
					where := board.uid + ": " + panel.title
					all = append(all, question{where, filled.Replace(expand(query.expr)), false})
				}
			}
		}
	}
	return all
}

func selectorsOf(expr string) ([]*parser.VectorSelector, error) {
	parsed, err := parser.ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	var found []*parser.VectorSelector
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			found = append(found, selector)
		}
		return nil
	})
	return found, nil
}

// askAll asks a running Prometheus. Every expression has to have a value that is a number; of an alert, each of its selectors has to.
func askAll(address string) error {
	files, err := readRules()
	if err != nil {
		return err
	}
	var problems []error
	asked, left := 0, map[string]string{}
	for _, question := range questions(files) {
		exprs := []string{question.expr}
		selectors, err := selectorsOf(question.expr)
		if err != nil {
			return err
		}
		if question.alert {
			exprs = nil
			for _, selector := range selectors {
				selector.OriginalOffset, selector.Offset = 0, 0
				exprs = append(exprs, selector.String())
			}
		}
		for _, expr := range exprs {
			has, err := hasData(address, expr)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", question.where, expr, err)
			}
			asked++
			if has {
				continue
			}
			if reason := reasonFor(selectors); reason != "" {
				left[question.where] = reason
			} else {
				problems = append(problems, fmt.Errorf("%s has no data: %s", question.where, expr))
			}
		}
	}
	most, err := values(address, `max(scrape_samples_scraped{job="bellhop"})`)
	if err != nil || len(most) == 0 {
		return fmt.Errorf("no node was scraped: %w", err)
	}
	fmt.Printf("series of a node: %s\n", most[0])
	fmt.Printf("%d queries asked, %d without data\n", asked, len(problems)+len(left))
	for _, where := range sorted(left) {
		fmt.Printf("  %s: %s\n", where, left[where])
	}
	return errors.Join(problems...)
}

func reasonFor(selectors []*parser.VectorSelector) string {
	for _, selector := range selectors {
		if reason := appearLater[selector.Name]; reason != "" {
			return reason
		}
	}
	return ""
}

func sorted(of map[string]string) []string {
	var keys []string
	for key := range of {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// hasData tells whether a query has at least one value that is a number.
func hasData(address, expr string) (bool, error) {
	found, err := values(address, expr)
	for _, value := range found {
		if value != "NaN" {
			return true, nil
		}
	}
	return false, err
}

// values is what Prometheus answers, without the labels.
func values(address, expr string) ([]any, error) {
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(address + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var read struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&read); err != nil {
		return nil, err
	}
	if read.Status != "success" {
		return nil, errors.New(read.Error)
	}
	var found []any
	for _, series := range read.Data.Result {
		found = append(found, series.Value[1])
	}
	return found, nil
}
