package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// destroyCmd lets two people of two parties destroy deposits.
type destroyCmd struct {
	Request     destroyRequestCmd     `cmd:"" help:"Ask that deposits be destroyed; nothing happens before a second person approves."`
	Approve     destroyApproveCmd     `cmd:"" help:"Approve a request: sign the same words, and the deposits go."`
	Cancel      destroyCancelCmd      `cmd:"" help:"Take a request back before it was approved."`
	List        destroyListCmd        `cmd:"" help:"List the requests and what became of them."`
	Certificate destroyCertificateCmd `cmd:"" help:"Fetch, check and keep a certificate of destruction."`
	Check       destroyCheckCmd       `cmd:"" help:"Check a certificate of destruction offline."`
}

type destroyRequestCmd struct {
	scoped
	ownKeys
	Module   string   `arg:"" help:"Module id."`
	Deposits []string `arg:"" help:"Deposit numbers, such as 3 or 5-9."`
	Ground   string   `required:"" help:"On which ground." enum:"retention,personal_data,end_of_contract,withdrawal"`
	Reason   string   `required:"" help:"Why, in a sentence that repeats nothing of what is destroyed: it stays for ever."`
	Epoch    int      `help:"They are destroyed by the end of this epoch of their compartment: its holders destroy the key. Name exactly what is sealed to it."`
	Days     int      `help:"For how many days the request waits for its approval." default:"14"`
}

func (destroyRequestCmd) Help() string {
	return `What may be destroyed on which ground:
  retention        what 'holdfast retention show' says may go
  personal_data    what it says must go: the term for personal data has passed
  end_of_contract  what it says must go: the contract has ended
  withdrawal       what should never have been deposited ('holdfast withdraw' is short for it)

The request is signed with your key. A person of another party signs the same words with
'holdfast destroy approve'; the agent, a beneficiary or the foundation must be one of the two.
Numbers, manifests and receipts stay, so that the chain and the ledger remain provable.`
}

func (c *destroyRequestCmd) Run(ctx context.Context, s *streams) error {
	return requestDestruction(ctx, s, c.scoped, c.ownKeys, destruction{module: c.Module, deposits: c.Deposits, ground: c.Ground, reason: c.Reason, epoch: c.Epoch, days: c.Days})
}

// withdrawCmd asks that a wrong deposit be taken out.
type withdrawCmd struct {
	scoped
	ownKeys
	Module   string   `arg:"" help:"Module id."`
	Deposits []string `arg:"" help:"Deposit numbers, such as 3 or 5-9."`
	Reason   string   `required:"" help:"Why, in a sentence that repeats nothing of it: it stays for ever."`
	Days     int      `help:"For how many days the request waits for its approval." default:"14"`
}

func (withdrawCmd) Help() string {
	return `For a secret or a customer's data that was deposited by mistake. From this request on the next
deposit of the module is FULL. Clean the source, deposit again, and let a person of another
party approve: every deposit that builds on the wrong one can never be opened again, so it is
not given up before there is a fresh one. What leaked must be changed all the same.`
}

func (c *withdrawCmd) Run(ctx context.Context, s *streams) error {
	return requestDestruction(ctx, s, c.scoped, c.ownKeys, destruction{module: c.Module, deposits: c.Deposits, ground: evidence.GroundWithdrawal, reason: c.Reason, days: c.Days})
}

// destruction is what a person asks for on the command line.
type destruction struct {
	module   string
	deposits []string
	ground   string
	reason   string
	epoch    int
	days     int
}

func requestDestruction(ctx context.Context, s *streams, r scoped, keys ownKeys, want destruction) error {
	signer, err := keys.signer()
	if err != nil {
		return err
	}
	card, err := readContact(strings.TrimSuffix(keys.Key, identityExt) + contactExt)
	if err != nil {
		return err
	}
	cl, _, err := r.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Standing(ctx, r.Arrangement, want.module)
	if err != nil {
		return err
	}
	named, err := namedDeposits(want, list)
	if err != nil {
		return err
	}
	nonce := make([]byte, 32)
	if _, err := rand.Read(nonce); err != nil {
		return err
	}
	now := time.Now()
	d := evidence.Destruction{Arrangement: r.Arrangement, Module: want.module, Ground: want.ground, Reason: want.reason, Method: evidence.MethodObjects, Epoch: want.epoch,
		Deposits: named, Party: card.Party, Person: card.Person, At: evidence.At(now), Expires: evidence.At(now.AddDate(0, 0, want.days)), Nonce: hex.EncodeToString(nonce)}
	if want.epoch > 0 {
		d.Method = evidence.MethodEpoch
	}
	document, err := d.Bytes()
	if err != nil {
		return escrow.Errorf(escrow.Invalid, "%w", err)
	}
	signature, err := evidence.Sign(signer, evidence.NamespaceDestruction, document)
	if err != nil {
		return err
	}
	out, err := cl.RequestDestruction(ctx, r.Arrangement, want.module, client.Signed{Document: string(document), Signature: string(signature)})
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(out)
	}
	fmt.Fprintf(s.out, "requested %s: destroy %s of %s (%s)\n", out.ID, depositNumbers(named), want.module, strings.ReplaceAll(want.ground, "_", " "))
	fmt.Fprintf(s.out, "  nothing has happened to it; a person of another party approves until %s:\n", out.ExpiresAt.Format("2006-01-02 15:04 UTC"))
	fmt.Fprintf(s.out, "  holdfast destroy approve %s\n", out.ID)
	if lost := lostWith(list, named); len(lost) > 0 {
		fmt.Fprintf(s.out, "  deposits %s build on it and can never be opened again once it is gone\n", joinNumbers(lost))
	}
	if want.ground == evidence.GroundWithdrawal {
		fmt.Fprintf(s.out, "  the next deposit of %s is FULL; clean the source and deposit before it is approved\n", want.module)
	}
	return nil
}

// namedDeposits reads numbers and ranges and finds the digests.
func namedDeposits(want destruction, list []client.Standing) ([]evidence.NamedDeposit, error) {
	numbers := map[int]bool{}
	for _, text := range want.deposits {
		from, to, isRange := strings.Cut(text, "-")
		a, err := strconv.Atoi(from)
		b := a
		if err == nil && isRange {
			b, err = strconv.Atoi(to)
		}
		if err != nil || a < 1 || b < a || b-a > evidence.MaxDestroyed {
			return nil, escrow.Errorf(escrow.Invalid, "%q is neither a deposit number nor a range", text).WithHint("write 3 or 5-9")
		}
		for n := a; n <= b; n++ {
			numbers[n] = true
		}
	}
	var out []evidence.NamedDeposit
	for _, d := range list {
		if numbers[d.Number] {
			out = append(out, evidence.NamedDeposit{Number: d.Number, Digest: d.Digest})
			delete(numbers, d.Number)
		}
	}
	for n := range numbers {
		return nil, escrow.Errorf(escrow.NotFound, "module %s has no deposit %d", want.module, n).WithHint("'holdfast retention show %s' lists them", want.module)
	}
	return out, nil
}

// lostWith lists what builds on the named deposits and is not named.
func lostWith(list []client.Standing, named []evidence.NamedDeposit) []int {
	var out []int
	broken := false
	for _, d := range list {
		if d.Kind == string(escrow.FullDeposit) {
			broken = false
		}
		in := slices.ContainsFunc(named, func(n evidence.NamedDeposit) bool { return n.Number == d.Number })
		broken = broken || in
		if broken && !in && d.Restorable {
			out = append(out, d.Number)
		}
	}
	return out
}

func joinNumbers(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ", ")
}

func depositNumbers(named []evidence.NamedDeposit) string {
	list := make([]int, len(named))
	for i, n := range named {
		list[i] = n.Number
	}
	if len(list) == 1 {
		return fmt.Sprintf("deposit %d", list[0])
	}
	return "deposits " + joinNumbers(list)
}

type destroyApproveCmd struct {
	scoped
	ownKeys
	Request string `arg:"" help:"Request id."`
	Yes     bool   `help:"Approve without asking; the request was read elsewhere."`
}

func (c *destroyApproveCmd) Run(ctx context.Context, s *streams) error {
	signer, err := c.signer()
	if err != nil {
		return err
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	r, err := cl.Destruction(ctx, c.Arrangement, c.Request)
	if err != nil {
		return err
	}
	d, err := evidence.ParseDestruction([]byte(r.Request.Document))
	if err != nil || d.Arrangement != c.Arrangement || d.Module != r.Module {
		return escrow.Errorf(escrow.Damaged, "the server's request %s is not one about %s: %w", c.Request, c.Arrangement, err)
	}
	if err := c.confirm(s, d); err != nil {
		return err
	}
	signature, err := evidence.Sign(signer, evidence.NamespaceDestruction, []byte(r.Request.Document))
	if err != nil {
		return err
	}
	out, err := cl.ApproveDestruction(ctx, c.Arrangement, c.Request, string(signature))
	if err != nil {
		return err
	}
	return s.result(out, "approved  %s: %s of %s are given up; the certificate follows when their bytes are gone everywhere\n  holdfast destroy certificate %s --out FILE\n",
		out.ID, depositNumbers(d.Deposits), d.Module, out.ID)
}

// confirm shows the person what it would do.
func (c *destroyApproveCmd) confirm(s *streams, d *evidence.Destruction) error {
	fmt.Fprintf(s.err, "%s/%s asks to destroy %s of module %s\n  ground   %s: %s\n  method   %s\n  expires  %s\n",
		d.Party, d.Person, depositNumbers(d.Deposits), d.Module, strings.ReplaceAll(d.Ground, "_", " "), d.Reason, d.Method, d.Expires)
	if c.Yes {
		return nil
	}
	fmt.Fprint(s.err, "It cannot be undone. Type destroy to approve: ")
	line, err := bufio.NewReader(s.in).ReadString('\n')
	if strings.TrimSpace(line) != "destroy" {
		return escrow.Wrap(err, escrow.Invalid, "not approved").WithHint("nothing was sent")
	}
	return nil
}

type destroyCancelCmd struct {
	scoped
	Request string `arg:"" help:"Request id."`
	Reason  string `required:"" help:"Why, for the record."`
}

func (c *destroyCancelCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	out, err := cl.CancelDestruction(ctx, c.Arrangement, c.Request, c.Reason)
	if err != nil {
		return err
	}
	return s.result(out, "cancelled %s\n", out.ID)
}

type destroyListCmd struct{ scoped }

func (c *destroyListCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Destructions(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REQUEST\tSTATE\tMODULE\tDEPOSITS\tGROUND\tASKED BY\tAPPROVED BY")
	for _, r := range list {
		d, err := evidence.ParseDestruction([]byte(r.Request.Document))
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "request %s: %w", r.ID, err)
		}
		numbers := make([]int, len(d.Deposits))
		for i, n := range d.Deposits {
			numbers[i] = n.Number
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.State, r.Module, joinNumbers(numbers), strings.ReplaceAll(d.Ground, "_", " "), r.RequestedBy, orDash(r.ApprovedBy))
	}
	return w.Flush()
}

type destroyCertificateCmd struct {
	scoped
	Request string `arg:"" help:"Request id."`
	Out     string `required:"" help:"File to write the certificate to; its signature goes beside it." type:"path"`
}

func (c *destroyCertificateCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	r, err := cl.Destruction(ctx, c.Arrangement, c.Request)
	if err != nil {
		return err
	}
	if r.Certificate == nil {
		return escrow.Errorf(escrow.Conflict, "request %s is %s: there is no certificate yet", r.ID, r.State).
			WithHint("it is made when the bytes are gone everywhere; a location that is away holds it up")
	}
	cert, key, err := keepCertificate(ctx, cl, r.Certificate, c.Out, evidence.VerifyCertificate)
	if err != nil {
		return err
	}
	return printCertificate(s, cert, key, c.Out)
}

// keepCertificate checks a certificate by the key that the server says is its
// own, and writes it with its signature beside it. Nothing is written that
// does not hold.
func keepCertificate[T any](ctx context.Context, cl *client.Client, signed *client.Signed, out string, verify func(key string, document, signature []byte) (T, error)) (cert T, key string, err error) {
	keys, err := cl.ServerKeys(ctx)
	if err != nil {
		return cert, "", err
	}
	document, signature := []byte(signed.Document), []byte(signed.Signature)
	if cert, err = verify(keys.Signing, document, signature); err != nil {
		return cert, "", escrow.Errorf(escrow.Damaged, "%w", err)
	}
	return cert, keys.Signing, newFiles([]newFile{{out, document, 0o600}, {out + sigExt, signature, 0o600}})
}

// readCertificate reads a certificate with its signature and checks it by a key
// that came another way.
func readCertificate[T any](file, key string, verify func(key string, document, signature []byte) (T, error)) (cert T, err error) {
	signed, err := readSigned(file)
	if err != nil {
		return cert, err
	}
	if cert, err = verify(key, []byte(signed.Document), []byte(signed.Signature)); err != nil {
		return cert, escrow.Errorf(escrow.Damaged, "%w", err).WithHint("the certificate or its signature was changed, or it is of another server")
	}
	return cert, nil
}

// destroyCheckCmd needs no server.
type destroyCheckCmd struct {
	Certificate string   `arg:"" help:"Certificate; its signature lies beside it." type:"existingfile"`
	ServerKey   string   `required:"" help:"The server's signing key, one line as in 'ssh-ed25519 AAAA…', as it was published."`
	Contact     []string `help:"Contact cards of the two people, to compare their keys with." type:"existingfile"`
}

func (c *destroyCheckCmd) Run(_ context.Context, s *streams) error {
	cert, err := readCertificate(c.Certificate, c.ServerKey, evidence.VerifyCertificate)
	if err != nil {
		return err
	}
	cards, err := readCards(c.Contact)
	if err != nil {
		return err
	}
	for _, card := range cards {
		for _, d := range []evidence.Decider{cert.Requester, cert.Approver} {
			if card.Party == d.Party && card.Person == d.Person && card.Key != d.Key {
				return escrow.Errorf(escrow.Damaged, "%s/%s signed with another key than the card has", d.Party, d.Person)
			}
		}
	}
	return printCertificate(s, cert, c.ServerKey, c.Certificate)
}

func printCertificate(s *streams, c *evidence.Certificate, serverKey, path string) error {
	d, err := c.Destruction()
	if err != nil {
		return escrow.Errorf(escrow.Damaged, "%w", err)
	}
	var bytes int64
	for _, o := range c.Objects {
		bytes += o.Size
	}
	if s.json {
		return s.printJSON(map[string]any{"module": d.Module, "ground": d.Ground, "deposits": d.Deposits, "objects": len(c.Objects), "kept": len(c.Kept), "bytes": bytes,
			"requested_by": c.Requester.Party + "/" + c.Requester.Person, "approved_by": c.Approver.Party + "/" + c.Approver.Person,
			"decided_at": c.DecidedAt, "done_at": c.DoneAt, "server_key": serverKey, "certificate": path})
	}
	fmt.Fprintf(s.out, "certified %s of module %s of %s: destroyed, %d objects, %s\n", depositNumbers(d.Deposits), d.Module, d.Arrangement, len(c.Objects), size(bytes))
	fmt.Fprintf(s.out, "  ground    %s: %s\n", strings.ReplaceAll(d.Ground, "_", " "), d.Reason)
	fmt.Fprintf(s.out, "  decided   by %s/%s and %s/%s, %s\n", c.Requester.Party, c.Requester.Person, c.Approver.Party, c.Approver.Person, c.DecidedAt)
	if d.Method == evidence.MethodEpoch {
		fmt.Fprintf(s.out, "  method    the end of epoch %d: its holders destroy the key\n", d.Epoch)
	} else {
		fmt.Fprintf(s.out, "  gone      from every location, %s\n", c.DoneAt)
	}
	for _, k := range c.Kept {
		fmt.Fprintf(s.out, "  kept      object %s: other deposits are made of it as well\n", k.Name[:16])
	}
	fmt.Fprintf(s.out, "  signed    by the server with %s; compare it over another channel\n", serverKey)
	fmt.Fprintf(s.out, "  file      %s\n", path)
	return nil
}
