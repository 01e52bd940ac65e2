package evidence

import (
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Shape of the tiles of the C2SP tlog-tiles format.
const (
	TileHeight   = 8
	TileWidth    = 1 << TileHeight // hashes or entries of a full tile
	EntriesLevel = -1              // level of a tile that holds entries
	maxTileLevel = 7               // 8 levels of height 8 reach every 63-bit size
	maxTilePath  = 64
)

// TilePath returns where a tile is found below a ledger's prefix, such as
// "tile/0/x001/234" or "tile/entries/000.p/7".
func TilePath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), "tile/8/")
	if rest, ok := strings.CutPrefix(path, "data/"); ok {
		return "tile/entries/" + rest
	}
	return "tile/" + path
}

// ParseTilePath reads a path that [TilePath] wrote.
func ParseTilePath(path string) (tlog.Tile, error) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || len(path) > maxTilePath {
		return tlog.Tile{}, fmt.Errorf("%.64q is not the path of a tile", path)
	}
	if entries, ok := strings.CutPrefix(rest, "entries/"); ok {
		rest = "data/" + entries
	}
	t, err := tlog.ParseTilePath("tile/8/" + rest)
	if err != nil || t.L > maxTileLevel || TilePath(t) != path {
		return tlog.Tile{}, fmt.Errorf("%.64q is not the path of a tile", path)
	}
	return t, nil
}
