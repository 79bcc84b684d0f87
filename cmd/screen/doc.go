// Package screen shows a status document to people and programs: as the screen of the verb status,
// as one line, and as JSON. It looks at nothing itself.
//
// What comes from K2HR3, chmpx and files may hold anything. No control character of it, and none
// that changes the direction of text, is ever shown.
package screen
