package usage

import "testing"

// TestUsageGuide is the guide, step by step. The slave app-1 and its application are there from
// the first cluster on, and app-2 is the one that the guide's section 6 makes.
func TestUsageGuide(t *testing.T) {
	w := newWalk(t)
	const healthy3 = "healthy; with 3 servers"

	w.step("4", "a configuration group for the cluster orders; a slave is there before any server", func() string {
		w.cluster.group()
		w.app1 = w.boot("app-1")
		w.cluster.admit(w.app1.vm)
		return ""
	}, w.app1sees("failed: there is no slave.ini that chmpx could use yet"), none)

	w.step("5-1", "a cluster of three", func() string {
		w.cluster.launch("orders-member-1", "orders-member-2", "orders-member-3")
		return w.app1.begins()
	}, w.app1sees(healthy3), keeps)

	w.step("5-1", "two more", func() string {
		w.cluster.launch("orders-member-4", "orders-member-5")
		return ""
	}, w.app1sees("healthy; with 5 servers"), keeps)

	w.step("5-1", "one less", func() string {
		w.cluster.destroy("orders-member-2")
		return ""
	}, w.app1sees("healthy; with 4 servers"), keeps)

	w.step("5-2", "single instances in place of the cluster's", func() string {
		w.cluster.launch("orders-1", "orders-2", "orders-3")
		w.cluster.destroy("orders-member-1", "orders-member-3", "orders-member-4", "orders-member-5")
		return ""
	}, w.app1sees(healthy3), keeps)

	w.step("5-2", "the group is detached from an instance, which runs on and belongs to nobody", func() string {
		w.cluster.detach("orders-3")
		return ""
	}, w.app1sees("healthy; with 2 servers"), keeps)

	w.step("5-2", "it is attached again", func() string {
		w.cluster.attach("orders-3")
		return ""
	}, w.app1sees(healthy3), keeps)

	w.step("5-2", "an instance is restored from its backup: the same name, another CUK", func() string {
		w.cluster.restore("orders-2")
		return ""
	}, w.app1sees(healthy3), keeps)

	w.step("5-2", "all are deleted", func() string {
		w.cluster.destroy("orders-1", "orders-2", "orders-3")
		return ""
	}, w.app1sees("degraded: the RESOURCE lists no server node; with 3 servers",
		// They leave one by one, and the agent may have seen K2HR3 list fewer of them.
		"degraded: the RESOURCE lists no server node; with 2 servers", "degraded: the RESOURCE lists no server node; with 1 server"), loses)

	w.step("5-1", "the cluster is built again under the same name", func() string {
		w.cluster.launch("orders-member-1", "orders-member-2", "orders-member-3")
		return ""
	}, w.app1sees(healthy3), recovers)

	w.step("6-1", "a new slave VM from user data", func() string {
		w.app2 = w.boot("app-2")
		return ""
	}, w.app2waits("waiting for a connection to a server"), keeps)

	w.step("6-2", "its security group, closed so far, is opened", func() string {
		w.cluster.admit(w.app2.vm)
		return w.app2.console()
	}, w.app2sees(healthy3), keeps)

	w.step("6-3-1", "its files", func() string { return w.app2.files() }, w.app2sees(healthy3), keeps)

	w.step("6-3-2", "its chmpx and the servers, as they see each other", func() string {
		return w.cluster.check(w.app2.vm)
	}, w.app2sees(healthy3), keeps)

	w.step("6-3-3", "keys are set and printed on it, by root and by its application's user", func() string {
		return w.cluster.keys(w.app2.vm)
	}, w.app2sees(healthy3), keeps)

	w.step("6-3-3", "the same after a restart of its chmpx", func() string {
		must(t, w.app2.systemd.Restart())
		w.app2.awaitReady()
		return w.cluster.keys(w.app2.vm)
	}, w.app2sees(healthy3), keeps)

	w.step("6-3-3", "the same after a replacement of its slave.ini", func() string {
		w.cluster.launch("orders-member-4")
		w.app2.awaitServers(w.cluster.listed())
		w.app2.awaitReady()
		return w.cluster.keys(w.app2.vm)
	}, w.app2sees("healthy; with 4 servers"), keeps)

	w.ends()
}
