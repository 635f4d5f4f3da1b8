// Checks an offline copy with tools that nobody on this project wrote: golang.org/x/mod's note verifier,
// transparency-dev's cosignature verifier, and Tessera's fsck, which re-derives every tile and the root.
//
//	go run . DIR ORIGIN LOG_VKEY COSIGNER_VKEY...
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	if err := check(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func check(dir, origin, logKey string, cosigners []string) error {
	verifier, err := note.NewVerifier(logKey)
	if err != nil {
		return fmt.Errorf("log key: %w", err)
	}
	verifiers := []note.Verifier{verifier}
	for _, key := range cosigners {
		cosigner, err := fnote.NewVerifierForCosignatureV1(key)
		if err != nil {
			return fmt.Errorf("cosigner key: %w", err)
		}
		verifiers = append(verifiers, cosigner)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	opened, err := note.Open(raw, note.VerifierList(verifiers...))
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if len(opened.Sigs) != len(verifiers) {
		return fmt.Errorf("checkpoint: %d of %d signatures verified", len(opened.Sigs), len(verifiers))
	}
	files := &client.FileFetcher{Root: dir}
	return fsck.New(origin, verifier, files, leafHashes, fsck.Opts{N: 2}).Check(context.Background())
}

// leafHashes gives the RFC 6962 leaf hashes of an entry bundle (C2SP tlog-tiles).
func leafHashes(bundle []byte) ([][]byte, error) {
	var hashes [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 {
			return nil, fmt.Errorf("bundle ends within a length")
		}
		size := int(binary.BigEndian.Uint16(bundle))
		if bundle = bundle[2:]; len(bundle) < size {
			return nil, fmt.Errorf("bundle ends within an entry")
		}
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(bundle[:size]))
		bundle = bundle[size:]
	}
	return hashes, nil
}
