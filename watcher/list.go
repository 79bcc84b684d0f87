package watcher

// List is a list that nobody changes. Two are == if they are one and the same, which lets a Status
// be compared without a look at what is in it.
type List[T any] struct{ items *[]T }

// ListOf returns a list of these items, which nobody may change from then on.
func ListOf[T any](items ...T) List[T] {
	if len(items) == 0 {
		return List[T]{}
	}
	return List[T]{&items}
}

// Items returns what is in the list.
func (l List[T]) Items() []T {
	if l.items == nil {
		return nil
	}
	return *l.items
}
