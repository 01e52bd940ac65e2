package agreement

import (
	"fmt"

	"holdfast/evidence"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/agreement/quantity"
	"holdfast/internal/escrow/agreement/yamltext"
)

// FrameworkFormat names the language of a host's framework.
const FrameworkFormat = "framework/v1"

// Framework is what a host promises once for many arrangements: agreements
// name it by its digest under host_undertakings. It comes from
// [ParseFramework] only.
type Framework struct {
	Format     string            `key:"holdfast,required" enum:"framework/v1" doc:"The format of this text."`
	ID         string            `key:"id,required" is:"id" doc:"Id of the framework."`
	Version    int               `key:"version,required" min:"1" doc:"Version of this text, from 1."`
	Replaces   string            `key:"replaces" is:"digest" doc:"Digest of the version before this one."`
	Title      string            `key:"title" doc:"What people call it."`
	Language   Language          `key:"language,required" doc:"Language of the texts in it."`
	Law        string            `key:"law,required" doc:"The law that applies."`
	Host       FrameworkHost     `key:"host,required" doc:"The host that promises."`
	Term       *Term             `key:"term" doc:"How long it lasts."`
	Promises   FrameworkPromises `key:"promises,required" doc:"The most that an undertaking under it can say."`
	Conditions []Clause          `key:"conditions" doc:"Conditions in words."`
	Document   *Document         `key:"document" doc:"The signed framework."`
}

// FrameworkHost is the host of a framework.
type FrameworkHost struct {
	Name     string            `key:"name,required" doc:"Its full legal name."`
	Register map[string]string `key:"register" doc:"Its numbers in public registers. Always quoted."`
}

// FrameworkPromises is what a host promises under its framework, in the words
// of an undertaking.
type FrameworkPromises struct {
	Continues       quantity.Period `key:"continues_for,required" doc:"How long it goes on after a customer of it has failed."`
	WarnsBefore     quantity.Period `key:"warns_before_suspension,required" doc:"How long before a suspension it warns whom the undertaking names."`
	ThirdParty      bool            `key:"accepts_third_party_payment" doc:"It takes payment from somebody else than its customer."`
	KeepsNoDataBack bool            `key:"keeps_no_data_back" doc:"It waives retention on data."`
	ArrearsFirst    *bool           `key:"demands_arrears_first,required" doc:"Old debts must be paid before it goes on."`
	LetsOperatorIn  bool            `key:"lets_operator_in" doc:"It gives the operator access."`
	Price           quantity.Rate   `key:"price" doc:"What it costs, when that is the same for all."`
	Reconfirm       quantity.Period `key:"reconfirm_every" doc:"How often it is confirmed again."`
}

// ParseFramework reads the text of a host's framework. The framework is nil
// when any problem is an error.
func ParseFramework(name string, data []byte) (*Framework, Problems) {
	root, problems := yamltext.Read(name, data)
	if root == nil {
		return nil, problems
	}
	f := &Framework{}
	b := bind.Bind(name, root, f)
	if b.Problems.Any(problem.Error) {
		return nil, b.Problems.Sort()
	}
	return f, b.Problems.Sort()
}

// Digest returns the SHA-256 of the framework's canonical JSON, by which
// agreements name it.
func (f *Framework) Digest() (string, error) {
	data, err := evidence.Canonical(bind.Tree(f))
	if err != nil {
		return "", fmt.Errorf("framework %s: %w", f.ID, err)
	}
	return evidence.Digest(data), nil
}
