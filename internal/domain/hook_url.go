package domain

import (
	"slices"
	"strconv"
)

// hiddenURL stands for the address of a hook where only the job knows it. It is failure.Mask, so that it also stands for the
// stored one when a client writes it back.
const hiddenURL = "********"

// HookURLField names the address of a hook in a job's options.
func HookURLField(moment HookMoment, i int) string {
	return "hooks." + string(moment) + "[" + strconv.Itoa(i) + "].url"
}

// addURLs adds the addresses, which are secrets: whoever has one can tell what is behind it that a backup was made.
func (h *Hooks) addURLs(secrets map[string]*string) {
	for _, moment := range HookMoments() {
		hooks := h.At(moment)
		for i := range hooks {
			if hooks[i].URL != "" {
				secrets[HookURLField(moment, i)] = &hooks[i].URL
			}
		}
	}
}

// clone is a copy that shares nothing that is ever changed.
func (h *Hooks) clone() *Hooks {
	if h == nil {
		return nil
	}
	return &Hooks{Before: slices.Clone(h.Before), AfterSuccess: slices.Clone(h.AfterSuccess), AfterFailure: slices.Clone(h.AfterFailure)}
}

// hideURLs puts the mask where an address is: that there is one is worth knowing.
func (h *Hooks) hideURLs() {
	secrets := map[string]*string{}
	h.addURLs(secrets)
	for _, address := range secrets {
		*address = hiddenURL
	}
}

// FillURLs puts the addresses of stored where h has the mask. In a moment with as many masks as stored addresses they stand for
// these in their order, whatever was put between them; else each stands for the address at its own place, where as many hooks as
// before have one at every place that had one. Where neither tells which one is meant, the mask is refused.
func (h *Hooks) FillURLs(stored *Hooks) Invalid {
	var v Invalid
	for _, moment := range HookMoments() {
		hooks, had := h.At(moment), stored.At(moment)
		masks := placesOf(hooks, func(hook Hook) bool { return hook.URL == hiddenURL })
		kept := placesOf(had, func(hook Hook) bool { return hook.URL != "" && hook.URL != hiddenURL })
		inPlace := len(hooks) == len(had) && !slices.ContainsFunc(kept, func(i int) bool { return hooks[i].URL == "" })
		for n, i := range masks {
			switch {
			case len(masks) == len(kept):
				hooks[i].URL = had[kept[n]].URL
			case inPlace && slices.Contains(kept, i):
				hooks[i].URL = had[i].URL
			case len(kept) == 0:
				v.Add(HookURLField(moment, i), "is %s, which stands for a stored address, and none is stored; give the address itself", hiddenURL)
			default:
				v.Add(HookURLField(moment, i), "give it again: which of the %d stored addresses is meant is not clear", len(kept))
			}
		}
	}
	return v
}

func placesOf(hooks []Hook, are func(Hook) bool) []int {
	var places []int
	for i, hook := range hooks {
		if are(hook) {
			places = append(places, i)
		}
	}
	return places
}
