package coalition_test

import (
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"holdfast/internal/escrow/agreement/coalition"
)

// TestAgainstBruteForce draws random quorums, with class rules, people who
// act for several organisations, people of one side in the organisations of
// another and shares sealed to several people, and compares every answer with
// what trying each subset of the human beings shows. HOLDFAST_LONG_TESTS sets
// the number of quorums.
func TestAgainstBruteForce(t *testing.T) {
	rounds := 4000
	if n, err := strconv.Atoi(os.Getenv("HOLDFAST_LONG_TESTS")); err == nil && n > 0 {
		rounds = n
	}
	random := rand.New(rand.NewPCG(7, 11))
	seen := map[string]int{}
	for round := range rounds {
		q := draw(random)
		w := newWorld(q)

		for sides := coalition.Sides(0); sides < 8; sides++ {
			theirs := w.on(sides)
			open := w.opens(w.orgsOf(theirs) | w.orgsOn(sides))
			if got := q.CanOpen(sides); got != open {
				t.Fatalf("round %d: sides %b can open: said %t, true is %t\n%+v", round, sides, got, open, q)
			}
			// Withheld: in some way of sealing the shares, none of the
			// recipients of a share is outside the sides.
			block := w.worstLoss(theirs, w.orgsOn(sides))
			if got := q.CanBlock(sides); got != block {
				t.Fatalf("round %d: sides %b can block: said %t, true is %t\n%+v", round, sides, got, block, q)
			}
			count(seen, "open", open)
			count(seen, "block", block)
		}

		lost := false
		for i := range q.Holders {
			lost = lost || !w.opens(w.all&^(1<<i))
		}
		if got := q.LostWith() != ""; got != lost {
			t.Fatalf("round %d: lost with an organisation: said %t, true is %t\n%+v", round, got, lost, q)
		}
		count(seen, "lost organisation", lost)

		fewest := 0 // how many people lose it, up to two
		for set := range 1 << len(w.people) {
			n := bits.OnesCount(uint(set))
			if n >= 1 && n <= 2 && (fewest == 0 || n < fewest) && w.worstLoss(set, 0) {
				fewest = n
			}
		}
		if got := len(q.LostPeople()); got != fewest {
			t.Fatalf("round %d: lost with people: said %d, true is %d\n%+v", round, got, fewest, q)
		}
		count(seen, "lost people", fewest > 0)

		least := -1
		for set := range 1 << len(w.people) {
			if n := bits.OnesCount(uint(set)); (least < 0 || n < least) && w.opens(w.orgsOf(set)) {
				least = n
			}
		}
		if got, _ := q.FewestPeople(); got != least {
			t.Fatalf("round %d: fewest people: said %d, true is %d\n%+v", round, got, least, q)
		}
		count(seen, "fewer people than organisations", least >= 0 && least < q.Of)
		count(seen, "can be opened at all", least >= 0)
	}
	for _, what := range []string{"open", "block", "lost organisation", "lost people", "fewer people than organisations", "can be opened at all"} {
		for _, answer := range []string{" true", " false"} {
			if seen[what+answer] < 20 {
				t.Errorf("%s%s came up %d times only: the test proves little", what, answer, seen[what+answer])
			}
		}
	}
}

func count(seen map[string]int, what string, yes bool) { seen[what+" "+strconv.FormatBool(yes)]++ }

// draw makes a random quorum of at most five organisations and nine people.
func draw(random *rand.Rand) *coalition.Quorum {
	n := 2 + random.IntN(4)
	q := &coalition.Quorum{Of: 1 + random.IntN(n), Independent: random.IntN(3), Belongs: map[string]coalition.Sides{}}
	names := []string{"ann", "bob", "cem", "dai", "eva"}
	for _, p := range names {
		if random.IntN(4) == 0 {
			q.Belongs[p] = coalition.Sides(1 << random.IntN(3))
		}
	}
	for i := range n {
		h := coalition.Holder{ID: "o" + strconv.Itoa(i), Each: 1 + random.IntN(2)}
		if random.IntN(2) == 0 {
			h.Sides = coalition.Sides(random.IntN(8))
		}
		h.Independent = h.Sides == 0 && random.IntN(2) == 0
		if random.IntN(2) == 0 {
			for _, p := range names {
				if random.IntN(3) == 0 && len(h.People) < 3 {
					h.People = append(h.People, p)
				}
			}
		}
		q.Holders = append(q.Holders, h)
	}
	return q
}

// world is a quorum seen as sets of bits: people, and what each can act for.
type world struct {
	q      *coalition.Quorum
	people []person
	all    int
}

type person struct {
	name string
	orgs int // the organisations he or she is named for
}

func newWorld(q *coalition.Quorum) *world {
	w := &world{q: q, all: 1<<len(q.Holders) - 1}
	named := map[string]int{}
	for i, h := range q.Holders {
		for _, p := range h.People {
			named[p] |= 1 << i
		}
		if len(h.People) == 0 {
			for range h.Each {
				w.people = append(w.people, person{orgs: 1 << i})
			}
		}
	}
	for p, orgs := range named {
		w.people = append(w.people, person{name: p, orgs: orgs})
	}
	return w
}

// opens tries every subset of the organisations.
func (w *world) opens(orgs int) bool {
	for s := range w.all + 1 {
		if s&^orgs != 0 {
			continue
		}
		independent := 0
		for i, h := range w.q.Holders {
			if s&(1<<i) != 0 && h.Independent {
				independent++
			}
		}
		if bits.OnesCount(uint(s)) == w.q.Of && independent >= w.q.Independent || s == orgs && bits.OnesCount(uint(s)) >= w.q.Of && independent >= w.q.Independent {
			return true
		}
	}
	return false
}

// on is the set of people who stand for one of the sides.
func (w *world) on(sides coalition.Sides) int {
	set := 0
	for i, p := range w.people {
		if p.name != "" && w.q.Belongs[p.name]&sides != 0 {
			set |= 1 << i
		}
	}
	return set
}

func (w *world) orgsOn(sides coalition.Sides) int {
	set := 0
	for i, h := range w.q.Holders {
		if h.Sides&sides != 0 {
			set |= 1 << i
		}
	}
	return set
}

// orgsOf is the organisations somebody of the set can act for.
func (w *world) orgsOf(people int) int {
	set := 0
	for i, p := range w.people {
		if people&(1<<i) != 0 {
			set |= p.orgs
		}
	}
	return set
}

// worstLoss reports whether it cannot be opened once the people are gone and
// the organisations too, for the worst choice of the people to whom each
// share is sealed: every choice is tried.
func (w *world) worstLoss(gone, orgs int) bool {
	left := 0
	for i, h := range w.q.Holders {
		if orgs&(1<<i) != 0 {
			continue
		}
		var staff []int
		for j, p := range w.people {
			if p.orgs&(1<<i) != 0 {
				staff = append(staff, j)
			}
		}
		size := min(h.Each, len(staff))
		survives := true // every choice of size recipients leaves somebody
		for s := range 1 << len(staff) {
			if bits.OnesCount(uint(s)) != size {
				continue
			}
			someone := slices.ContainsFunc(staff, func(j int) bool {
				return s&(1<<slices.Index(staff, j)) != 0 && gone&(1<<j) == 0
			})
			survives = survives && someone
		}
		if survives {
			left |= 1 << i
		}
	}
	return !w.opens(left)
}

// TestSharedPeople: the cases people ask about, by hand.
func TestSharedPeople(t *testing.T) {
	q := &coalition.Quorum{Of: 2, Holders: []coalition.Holder{
		{ID: "agent", Sides: coalition.Agent, People: []string{"kim"}, Each: 1},
		{ID: "notary", Independent: true, People: []string{"kim", "lee"}, Each: 2},
		{ID: "bank", Independent: true, Each: 1},
	}}
	if n, who := q.FewestPeople(); n != 1 || !slices.Equal(who, []string{"kim"}) {
		t.Errorf("fewest people %d %v, want kim alone", n, who)
	}
	if q.LostWith() != "" {
		t.Error("lost with one organisation")
	}
	if lost := q.LostPeople(); len(lost) != 2 {
		t.Errorf("lost with %v, want kim and somebody at the bank", lost)
	}
	q.Belongs = map[string]coalition.Sides{"kim": coalition.Claimant}
	if !q.CanOpen(coalition.Claimant) || !slices.Equal(q.Reach(coalition.Claimant), []string{"agent", "notary"}) {
		t.Error("kim's side cannot open it, though kim can act for two holders")
	}
	if q.CanBlock(coalition.Claimant) {
		t.Error("kim's side can block it, though lee can act for the notary")
	}
}
