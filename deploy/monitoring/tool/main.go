// Makes the dashboards of Grafana, and checks what promtool and amtool do not:
//
//	dashboards        writes them to grafana/dashboards
//	check             reads every file as its program does; fails on one that is not up to date
//	live URL          asks a Prometheus for every query of every dashboard and rule; fails on one without data
//
// It runs in deploy/monitoring.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "dashboards":
		return writeBoards()
	case len(args) == 1 && args[0] == "check":
		return checkAll()
	case len(args) == 2 && args[0] == "live":
		return askAll(args[1])
	}
	return fmt.Errorf("usage: dashboards | check | live URL")
}
