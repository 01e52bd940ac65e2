package main

import (
	"strings"
	"testing"
)

func TestTerminalIsNotSteered(t *testing.T) {
	var out strings.Builder
	text := "module\tvëndor \x1b[2J\u009b31m\u202eevil\r\x00\n"
	if n, err := (&plainWriter{&out}).Write([]byte(text)); n != len(text) || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if out.String() != "module\tvëndor ?[2J?31m?evil??\n" {
		t.Errorf("%q", out.String())
	}
	if w := forPeople(&out); w != &out {
		t.Error("what is not a terminal is changed")
	}
}
