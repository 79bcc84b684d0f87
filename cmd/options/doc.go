// Package options knows every option of the agent, once: its name, section, default and help, and
// where its value came from. One table (Table) produces the flags, the environment names, the keys
// of the configuration file and the help; Load resolves them into Options.
//
// # Where a value comes from
//
// In this order: the flag --KEY, the environment variable K2HDKC_SLAVE_KEY (upper case, `_` for
// `-`), the configuration file, the files that K2HR3's own init script left in antpickax-dir (for
// api-uri, role, cuk and role-token-file), the default. Options.Source says which one it was. Of
// the same flag twice the last one counts, so that a caller can override a wrapper.
//
// Load reports everything that is wrong at once. A mistake on the command line makes the error a
// *UsageError. An environment variable that begins with K2HDKC_SLAVE_ and is no option is a
// misspelling, thus an error.
//
// A verb may have flags of its own, which are nothing but flags. Those of user-data say how to make
// a new host; its other options are those of that host, found in the same places as any, and
// Options.Elsewhere writes them into a configuration file for it.
//
// # The configuration file
//
// INI, read with gopkg.in/ini.v1, a line at a time, so that every message can name its line:
//
//   - A comment has a line of its own and begins with # or ;. A # or ; after a blank inside a value
//     is an error, because it is nearly always a comment that would become part of the value.
//   - A value ends with its line: no continuation by a backslash, no multi-line quotes. One pair of
//     ' or " around it does not belong to it.
//   - There is no interpolation: %(name)s and $NAME are plain text.
//   - A section may be opened again, a key may be given only once. Names are lower case.
//   - Unknown sections, unknown keys, keys in another section than theirs or before the first
//     section are errors.
//
// # Values
//
// Blanks around a value do not count. An empty value is an error, except where the table says what
// empty means. Yes and no may also be written true/false,
// on/off, 1/0, in any case. A relative path starts at the working directory on the command line and
// is an error elsewhere, where a daemon has no meaningful working directory. What a role, a
// resource, K2HR3's address and a CUK may be, watcher/k2hr3 says.
//
// The names of the files in antpickax-dir and their contents are those of k2hr3-init.sh as of
// k2hr3-api 2.0.3 (docs/k2hr3.md F.1); chmpx 1.0.113 decides what the name of the output file may
// be (docs/chmpx.md A.1).
package options
