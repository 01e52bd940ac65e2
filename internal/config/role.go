package config

import "fmt"

// Role is what one process of an installation does.
type Role string

// The roles.
const (
	RoleAll    Role = "all"    // everything; the only one on SQLite
	RoleWeb    Role = "web"    // serves requests and queues work
	RoleWorker Role = "worker" // does the work that is queued or scheduled
	RoleProbe  Role = "probe"  // measures services from outside
)

// Serves reports whether the process answers requests.
func (r Role) Serves() bool { return r == RoleAll || r == RoleWeb }

// Works reports whether the process takes work from the queue.
func (r Role) Works() bool { return r == RoleAll || r == RoleWorker }

// Probes reports whether the process measures services. Of several one does it
// at a time.
func (r Role) Probes() bool { return r == RoleAll || r == RoleProbe }

// Shares reports whether the process is one of several on one database. Such a
// process makes no installation: with two that start at once it would be two.
func (r Role) Shares() bool { return r == RoleWeb || r == RoleWorker || r == RoleProbe }

// problem says what is wrong with a role, "" for nothing.
func (r Role) problem(postgres, located bool) string {
	switch r {
	case RoleAll:
		return ""
	case RoleWeb, RoleWorker, RoleProbe:
		if !postgres {
			return fmt.Sprintf("%s is for one of several processes, and SQLite has one process; set database to a postgres:// URL, or leave role out", r)
		}
		if !located {
			return fmt.Sprintf("%s is for one of several processes, and they must reach the same objects; name the places in locations", r)
		}
		return ""
	}
	return fmt.Sprintf("%q; choose all, web, worker or probe", r)
}
