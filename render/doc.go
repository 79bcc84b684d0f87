// Package render turns the text of a RESOURCE into the bytes of slave.ini and
// those bytes into the file.
//
// [Bytes] replaces the instance id's placeholder and stamps the revision;
// nothing else of the text is touched. [File] replaces the file the one way
// that is safe under a running chmpx: a complete temporary file beside it,
// with its final owner and mode, flushed to the disk, renamed over it, and the
// directory flushed as well. Whoever reads the path at any moment, also after
// a power cut, finds the whole old file or the whole new one.
//
// Why each step is there:
//
//   - chmpx loads its file after every single write to it and ends itself when
//     a load fails (chmpx 1.0.113, docs/chmpx.md 0.1, 0.2), so the live file is
//     never opened for writing.
//   - chmpx learns of a replacement by the deletion of the old inode, which
//     waits for its last link and its last descriptor (docs/chmpx.md D.4). So no
//     backup is hard-linked, and no descriptor on the old file outlives a
//     read.
//   - chmpx, and its configuration test, tell the format by the extension
//     (docs/chmpx.md A.1), so the temporary file's name ends in .ini too and can
//     be judged by them before it goes live.
//   - chmpx loses its watch for good on a file that its user cannot read
//     (docs/chmpx.md 0.4), so owner and mode are right before the rename, not after it.
package render
