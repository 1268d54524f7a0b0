package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const boardsFolder = "grafana/dashboards"

func boardPath(b board) string { return filepath.Join(boardsFolder, b.uid+".json") }

func writeBoards() error {
	if err := os.MkdirAll(boardsFolder, 0o755); err != nil {
		return err
	}
	for _, board := range boards() {
		text, err := board.json()
		if err != nil {
			return err
		}
		if err := os.WriteFile(boardPath(board), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// checkBoards holds every dashboard to what it is made of.
func checkBoards() error {
	var problems []error
	made := map[string]bool{}
	for _, board := range boards() {
		expected, err := board.json()
		if err != nil {
			return err
		}
		path := boardPath(board)
		made[path] = true
		if text, err := os.ReadFile(path); err != nil || !bytes.Equal(text, expected) {
			problems = append(problems, fmt.Errorf("%s is not up to date: run scripts/check-monitoring --generate", path))
		}
	}
	kept, err := filepath.Glob(boardsFolder + "/*")
	for _, path := range kept {
		if !made[path] {
			problems = append(problems, fmt.Errorf("%s is made by nothing", path))
		}
	}
	return errors.Join(append(problems, err)...)
}
