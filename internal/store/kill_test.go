package store_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// childEnv makes the test binary write deposits into a database until it is
// killed: its path or URL.
const childEnv = "HOLDFAST_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if database := os.Getenv(childEnv); database != "" {
		fmt.Println("error:", depositForEver(database))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// depositForEver accepts one deposit after the other and prints the number of
// each that was acknowledged.
func depositForEver(database string) error {
	ctx := context.Background()
	private, _, err := note.GenerateKey(rand.Reader, storetest.Origin)
	if err != nil {
		return err
	}
	c := store.Config{Path: database, Now: storetest.Now, Rand: rand.Reader}
	if strings.Contains(database, "://") {
		c.Path, c.URL = "", database
	}
	if c.Signer, err = note.NewSigner(private); err != nil {
		return err
	}
	db, err := store.Open(ctx, c)
	if err != nil {
		return err
	}
	for {
		var d escrow.Deposit
		_, err := db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
			latest, err := tx.LatestDeposit(ctx, storetest.Acme, "code")
			if err != nil && escrow.CodeOf(err) != escrow.NotFound {
				return nil, err
			}
			d = storetest.Deposit("code", latest.Number+1)
			return []escrow.Act{storetest.Act("deposit.accepted", d.Digest)}, tx.PutDeposit(ctx, d)
		})
		if err != nil {
			return err
		}
		fmt.Println(d.Number)
	}
}

// A process is killed at random moments. Every acknowledged deposit is there
// with its act; none is there without, none is half there.
func TestKilledWhileWriting(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, open func(testing.TB) *storetest.Database) {
		d := open(t)
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		rounds, last := 10, ""
		for range rounds {
			cmd := exec.Command(exe)
			cmd.Env = append(os.Environ(), childEnv+"="+d.Config.Path+d.Config.URL)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			kill := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
			for lines.Scan() {
				if last = lines.Text(); strings.HasPrefix(last, "error") {
					t.Fatal(last)
				}
				if kill != nil { // the clock runs from the first deposit on
					kill.Stop()
					kill = nil
					time.AfterFunc(mrand.N(50*time.Millisecond), func() { cmd.Process.Kill() })
				}
			}
			cmd.Wait()

			var acknowledged int
			if _, err := fmt.Sscan(last, &acknowledged); err != nil {
				t.Fatal(err)
			}
			latest, acts := settled(t, d)
			// One more may have been committed and its answer not sent.
			if latest.Number < acknowledged || latest.Number > acknowledged+1 || acts != int64(latest.Number) || len(latest.Objects) != 2 {
				t.Fatalf("%d acknowledged, %d there with %d objects, %d acts", acknowledged, latest.Number, len(latest.Objects), acts)
			}
		}
		t.Logf("%d kills, %s deposits", rounds, last)
	})
}

// settled verifies the database and returns the latest deposit and the number
// of acts. PostgreSQL may still be committing for the process that is dead.
func settled(t *testing.T, d *storetest.Database) (latest escrow.Deposit, acts int64) {
	t.Helper()
	for {
		before := latest.Number
		d.Read(t, func(ctx context.Context, tx *store.Tx) (err error) {
			latest, err = tx.LatestDeposit(ctx, storetest.Acme, "code")
			return err
		})
		report, err := d.Verify(t.Context(), ledger.VerifyOptions{Policy: d.Policy})
		if err != nil {
			t.Fatal(err)
		}
		if latest.Number == before && report.Size == acts {
			return latest, acts
		}
		acts = report.Size
	}
}

func FuzzRowKey(f *testing.F) {
	f.Add("acme", "code", int64(1))
	f.Add("a b", "a%20b", int64(-1))
	f.Add("", "%", int64(0))
	f.Add("%2520 ", " ", int64(9))
	f.Fuzz(func(t *testing.T, a, b string, n int64) {
		key, back, err := store.RoundTripKey("deposit", a, b, n)
		if err != nil || len(back) != 3 || back[0] != a || back[1] != b || back[2] != n {
			t.Errorf("%q %q %d became %q and came back as %q, %v", a, b, n, key, back, err)
		}
	})
}
