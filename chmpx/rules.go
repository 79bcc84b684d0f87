package chmpx

// The rules that findings name. They are stable: callers and scripts may compare
// with them.
const (
	// The text as a whole.
	RuleEmpty   = "empty-text"   // nothing, or only blanks
	RuleForeign = "foreign-text" // an HTML page, JSON, YAML: not a chmpx INI file
	RuleCut     = "cut-text"     // ends in the middle of something
	RuleBytes   = "odd-bytes"    // byte order mark, NUL, control characters

	// Lines.
	RuleDroppedLine    = "dropped-line"
	RuleUnknownSection = "unknown-section"
	RuleUnknownKey     = "unknown-key"
	RuleDuplicateKey   = "duplicate-key"
	RuleMergedNodes    = "merged-nodes"
	RuleNodeNoName     = "node-without-name"

	// Values of [GLOBAL].
	RuleRequiredKey = "required-key"
	RuleBadValue    = "bad-value"
	RuleNumber      = "odd-number"
	RuleClamped     = "clamped-value"
	RuleGroup       = "group-name"
	RulePlaceholder = "placeholder" // nobody has replaced one
	RuleTableSize   = "table-size"
	RuleK2Hash      = "k2hash-size"

	// Nodes.
	RuleNoServer   = "no-server-node"
	RuleNoSlave    = "no-slave-node"
	RuleServerName = "server-name"
	RuleManyNodes  = "too-many-nodes"
	RulePort       = "bad-port"
	RuleIdentity   = "node-identity"
	RuleSameID     = "same-identity"
	RuleTooLong    = "too-long"
	RuleEndpoints  = "endpoint-list"
	RuleTLS        = "tls"
	RuleTLSFile    = "tls-file"

	// Who this host is.
	RuleSelfMissing  = "self-not-found"
	RuleSelfUnsure   = "self-not-sure"
	RuleSelfServer   = "self-is-server"
	RuleSelfIdentity = "self-identity"
	RuleMode         = "mode"

	// What runs now.
	RuleLiveGroup  = "live-group"
	RuleLiveIDType = "live-id-type"
	RuleLiveTLS    = "live-tls"
	RuleLiveTables = "live-tables"
	RuleLivePort   = "live-control-port"
	RuleLiveMode   = "live-mode"

	// What chmpx's own loader makes of the file.
	RuleSecondOpinion = "second-opinion"
)
