/*
 * Intrusive doubly linked lists with a head that is a node of its own.
 *
 *	struct list machines = LIST_INIT(machines);
 *	list_add(&machines, &m->link);
 *	LIST_EACH(struct machine, m, link, &machines) ...
 *
 * LIST_EACH allows removing the current element.
 */
#ifndef CORE_LIST_H
#define CORE_LIST_H

#include "core/core.h"

struct list {
	struct list	*next, *prev;
};

#define LIST_INIT(name)	{ &(name), &(name) }
#define LIST_ENTRY(node, type, member) \
	((type *)(void *)((char *)(node) - offsetof(type, member)))
#define LIST_EACH(type, var, member, head) \
	for (type *var = LIST_ENTRY((head)->next, type, member), \
	    *var##_next = LIST_ENTRY(var->member.next, type, member); \
	    &var->member != (head); \
	    var = var##_next, \
	    var##_next = LIST_ENTRY(var->member.next, type, member))

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void
list_add(struct list *head, struct list *node)	/* at the end */
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void
list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = node;
}

#endif
