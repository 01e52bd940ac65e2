package evidence

// ImagesSummary says in public what a deposit of container images contains.
// Names of tags that moved are public, like those of refs; what is in the
// images is not.
type ImagesSummary struct {
	Images  int         `json:"images"`             // that are there at this deposit
	Blobs   int         `json:"blobs"`              // new in this deposit: layers, configurations, manifests
	Bytes   int64       `json:"bytes"`              // of the new ones
	New     int         `json:"new,omitempty"`      // tags that were not there before
	Changes []RefChange `json:"changes,omitempty"`  // tags that mean something else, or are gone
	LeftOut int         `json:"left_out,omitempty"` // platforms that are left out as agreed
}
