package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/client"
)

// organisationMode is the mode of a module that names an organisation.
const organisationMode = "organisation"

// repositoryMarks says what is particular about the repositories of
// organisations, by module.
func repositoryMarks(ctx context.Context, cl *client.Client, arrangement string, list []client.Module) (map[string]string, error) {
	marks := map[string]string{}
	for _, m := range list {
		if m.Mode != organisationMode {
			continue
		}
		repositories, err := cl.Repositories(ctx, arrangement, m.ID)
		if err != nil {
			return nil, err
		}
		for _, r := range repositories {
			if r.State != "present" {
				marks[r.Module] = stateWords(r.State)
			}
		}
	}
	return marks, nil
}

// stateWords is how a repository stands, for people.
func stateWords(state string) string { return strings.ReplaceAll(state, "_", " ") }

type moduleShowCmd struct {
	scoped
	Module string `arg:"" help:"Module id."`
}

func (moduleShowCmd) Help() string {
	return `A repository is archived (closed for writing; still fetched), left out (not included by the
agreement), gone (listed once, not any more; its deposits stay) or missing (agreed on, never listed).`
}

func (c *moduleShowCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	m, err := moduleStatus(ctx, cl, c.Arrangement, c.Module)
	if err != nil {
		return err
	}
	repositories := []client.Repository{}
	if m.Mode == organisationMode {
		if repositories, err = cl.Repositories(ctx, c.Arrangement, c.Module); err != nil {
			return err
		}
	}
	if s.json {
		return s.printJSON(struct {
			client.Module
			Repositories []client.Repository `json:"repositories,omitempty"`
		}{m, repositories})
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "module\t%s, %s\n", m.ID, m.Kind)
	fmt.Fprintf(w, "sealed to\t%s\n", m.Compartment)
	every := "on demand"
	if m.Every != "" {
		every = "every " + m.Every
	}
	fmt.Fprintf(w, "source\t%s %s, %s\n", m.Mode, orDash(m.URL), every)
	last := "never"
	if m.LastTry != nil {
		last = m.LastTry.Format(time.DateTime) + " UTC"
	}
	if m.LastError != "" {
		last += ", failed: " + m.LastError
	}
	fmt.Fprintf(w, "last try\t%s\n", last)
	if m.LastError != "" && m.ErrorHint != "" {
		fmt.Fprintf(w, "what to do\t%s\n", m.ErrorHint)
	}
	if m.Mode != organisationMode {
		fmt.Fprintf(w, "deposits\t%d\n", m.Latest)
		return w.Flush()
	}
	fmt.Fprintf(w, "repositories\t%s\n", countStates(repositories))
	if err := w.Flush(); err != nil || len(repositories) == 0 {
		return err
	}
	fmt.Fprintln(s.out)
	w = tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REPOSITORY\tSTATE\tSINCE\tMODULE\tDEPOSITS\tFETCHED")
	for _, r := range repositories {
		state := stateWords(r.State)
		if r.Private {
			state += ", private"
		}
		fetched := "never"
		if r.LastTry != nil {
			fetched = r.LastTry.Format(time.DateTime) + " UTC"
		}
		if r.LastError != "" {
			fetched += ", failed: " + r.LastError
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", r.Name, state, r.Since.Format(time.DateOnly), orDash(r.Module), r.Latest, fetched)
	}
	return w.Flush()
}

// countStates is how many repositories stand how.
func countStates(list []client.Repository) string {
	counts := map[string]int{}
	for _, r := range list {
		counts[r.State]++
	}
	words := []string{}
	for _, state := range []string{"present", "archived", "left_out", "gone", "missing"} {
		if n := counts[state]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, stateWords(state)))
		}
	}
	if len(words) == 0 {
		return "not listed yet"
	}
	return strings.Join(words, ", ")
}
