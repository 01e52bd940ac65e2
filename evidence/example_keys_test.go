package evidence_test

import (
	"errors"
	"fmt"
	"os"

	"holdfast/evidence"
)

func ExampleParseKeyManifest() {
	document, err := os.ReadFile("testdata/keys/manifest-quorum.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	signature, err := os.ReadFile("testdata/keys/manifest-quorum.json.sig")
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := evidence.ParseKeyManifest(document)
	if err != nil {
		fmt.Println(err)
		return
	}
	// That the dealer's key is the dealer's is for people to compare.
	if err := evidence.Verify(m.Dealer.Key, evidence.NamespaceKeys, document, signature); err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range m.Parts {
		fmt.Printf("%s: %d of %d\n", p.Name, p.Threshold, p.Holders)
	}
	fmt.Println("release key", evidence.Digits(evidence.Fingerprint(m.Recipient)))
	// Output:
	// all: 3 of 5
	// independent: 1 of 3
	// release key 7271 2678 6051 8454 2476 0524 5999 8192
}

func ExampleParseShareText() {
	text, err := os.ReadFile("testdata/keys/share-quorum-agent.txt")
	if err != nil {
		fmt.Println(err)
		return
	}
	s, digest, err := evidence.ParseShareText(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Trustee, s.Parts[0].Index, digest == evidence.Digest(text))

	text[200] ^= 1
	_, _, err = evidence.ParseShareText(text)
	fmt.Println(errors.Is(err, evidence.ErrShareChecksum), err)
	// Output:
	// agent 3 true
	// true share text of agent (number 3): the text was changed or mistyped: its checksum does not match
}

func ExampleParseApproval() {
	document, err := os.ReadFile("testdata/keys/approval-quorum-notaris.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	statement, err := os.ReadFile("testdata/keys/statement-quorum.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := evidence.ParseApproval(document)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a.Trustee, a.Person, a.Statement == evidence.Digest(statement))
	// Output: notaris notaris-1 true
}
