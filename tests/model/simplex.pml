/* Agreement, as an exhaustive check: four members, one of which lies, or six (SPEC 8.3, 8.4;
 * consensus.md 2.7 to 2.12, 3.8). `make model` runs it; README.md says what it has found.
 *
 * Three members keep the rules, or five (-DHONEST=5: n = 6, q = 4, where a quorum is fewer than
 * all who are left when one lies). The last one has said every possible word from the start, so a
 * certificate exists as soon as QUORUM - 1 of the others have said the same. Every leader may be
 * the liar: any justified block may be proposed to anybody. Timers and the network are chance: at
 * any moment a member knows any part of what has been said. So what a crash takes away (received
 * words, proposals, timers, a view entered without a word) is not in the state at all: a member
 * may forget it at any time, and "written, not sent" and "sent, not arrived" are the same. The
 * state is what is on the disk: the words, and how far the certificates with them lead. A mutant
 * that keeps some of it in memory loses it in CRASH, which changes nothing else.
 *
 * They are interchangeable, so their states are kept sorted.
 *
 * Bounds: -DHONEST (3 or 5), -DVIEWS (2 or 3), -DBLOCKS (conflicting blocks for each view and parent; 1 or 2).
 * Mutants, each of which must be caught: -DQUORUM=2, -DFINALIZE_AFTER_NULLIFY,
 * -DSKIPS_UNCHECKED, -DNULLIFY_NOT_DURABLE, -DCERTIFICATE_NOT_DURABLE.
 * -DFINALIZE_OTHER drops what serves accountability only (consensus.md 2.19): no fork follows.
 */
#ifndef VIEWS
#define VIEWS 3
#endif
#ifndef BLOCKS
#define BLOCKS 1
#endif
#ifndef HONEST
#define HONEST 3
#endif
#if HONEST > 3
#define ENOUGH 4               /* the true quorum: so many go on without the liar */
#else
#define ENOUGH 3
#endif
#ifndef QUORUM
#define QUORUM ENOUGH
#endif
#define TRUTHFUL (QUORUM - 1)  /* how many of them a certificate needs beside the liar */
#define LAST (HONEST - 1)
#define NONE 0                 /* no block; as a parent: the anchor */
#define MAX_BLOCKS 33

/* Every block there can be, by number: constants, filled in once, no part of the state. */
hidden byte born[MAX_BLOCKS];         /* the view it was made in */
hidden byte parent[MAX_BLOCKS];
hidden byte parent_view[MAX_BLOCKS];  /* the view of the certificate that it builds on */
hidden byte blocks;
hidden byte i, u, v, b, c;            /* used and forgotten inside one step */

/* One member. Words are on the disk before anybody can know of them (SPEC 8.4). */
typedef Member {
    byte view;  /* never a word below; the certificates that led there are on the disk */
    byte notarized[VIEWS + 1];  /* a block, or NONE */
    byte finalized[VIEWS + 1];
    byte nullified;             /* a bit for each view: what the member remembers */
    byte said_nullify;          /* what others may have heard: more than that in one mutant */
};
Member member[HONEST];
hidden Member spare;

/* The certificates that exist. They follow from the words; kept so that guards are short. */
byte N[VIEWS + 1];  /* the notarized block; at most one, as is asserted */
byte F[VIEWS + 1];
byte X;             /* a bit for each view */

#define bit_of(view) (1 << (view))
#define has_x(view) ((X & bit_of(view)) != 0)
#define nullified_in(m, view) ((member[m].nullified & bit_of(view)) != 0)

/* X of every view strictly between. */
#define BETWEEN(from, to) (bit_of(to) - bit_of((from) + 1))
#ifdef SKIPS_UNCHECKED
#define skips(from, to) true
#else
#define skips(from, to) ((X & BETWEEN(from, to)) == BETWEEN(from, to))
#endif

/* tips(view) is not empty: a certified block, or the anchor, and X of all views since. */
#define tips(view) tips_##view
#define tips_0 true
#define tips_1 (N[1] != NONE || has_x(1))
#define tips_2 (N[2] != NONE || (has_x(2) && tips_1))

/* R2: this member may be in a view now: the certificates exist, and it has not been further. */
#define may_be_in(m, view_, before) (member[m].view <= view_ && tips(before))

/* (u, block) is in tips(view - 1). */
#define is_tip(u, block, view) ((u) < (view) && N[u] == (block) && skips(u, view))

#define justified_new(block, view) \
    (born[block] == (view) && is_tip(parent_view[block], parent[block], view))
#if VIEWS > 2
#define justified_again(block, view) \
    (born[block] < (view) && (is_tip(1, block, view) || is_tip(2, block, view)))
#else
#define justified_again(block, view) (born[block] < (view) && is_tip(1, block, view))
#endif

#define is_ancestor(a, d) \
    ((a) == (d) || (a) == parent[d] || (a) == parent[parent[d]] || (a) == parent[parent[parent[d]]])
#define conflict(a, d) (!is_ancestor(a, d) && !is_ancestor(d, a))

/* R6, of a new block and (R5) of any tip again. */
#define NOTARIZE(m, view_, before, block) \
    :: member[m].notarized[view_] == NONE && may_be_in(m, view_, before) \
       && (justified_new(block, view_) || justified_again(block, view_)) \
       && !nullified_in(m, view_) && (block) <= blocks -> \
       member[m].notarized[view_] = block; member[m].view = view_

/* R7: in any view with N, which takes the member out of that view (R2). */
#ifdef FINALIZE_AFTER_NULLIFY
#define free_to_finalize(m, view_) true
#else
#define free_to_finalize(m, view_) (!nullified_in(m, view_))
#endif
#ifdef FINALIZE_OTHER
#define consistent(m, view_) true
#else
#define consistent(m, view_) \
    (member[m].notarized[view_] == NONE || member[m].notarized[view_] == N[view_])
#endif
#define FINALIZE(m, view_) \
    :: N[view_] != NONE && member[m].finalized[view_] == NONE \
       && free_to_finalize(m, view_) && consistent(m, view_) -> \
       member[m].finalized[view_] = N[view_]; \
       if :: member[m].view <= view_ -> member[m].view = view_ + 1 :: else fi

/* R8: at any time. */
#define NULLIFY(m, view_, before) \
    :: may_be_in(m, view_, before) && member[m].finalized[view_] == NONE \
       && !nullified_in(m, view_) -> \
       member[m].nullified = member[m].nullified | bit_of(view_); \
       member[m].said_nullify = member[m].said_nullify | bit_of(view_); \
       member[m].view = view_

/* What is not on the disk is gone. On the disk are the words, and with a word in a view the
 * certificates that led there; with `finalize` the notarization, too, which leads further. */
#define CRASH(m) \
    :: member[m].view > 1 || member[m].nullified != 0 -> \
       member[m].view = 1; RESTORE(m)
#ifdef NULLIFY_NOT_DURABLE
#define forget_nullify(m) member[m].nullified = 0;
#else
#define forget_nullify(m)
#endif
#ifdef CERTIFICATE_NOT_DURABLE
#define RESTORE(m) forget_nullify(m)
#else
#define RESTORE(m) \
    forget_nullify(m) \
    for (v : 1 .. VIEWS) { \
        if \
        :: member[m].finalized[v] != NONE -> member[m].view = v + 1 \
        :: else -> \
            if \
            :: member[m].view < v && (member[m].notarized[v] != NONE || nullified_in(m, v)) -> \
       member[m].view = v \
            :: else \
            fi \
        fi \
    }
#endif

/* After each step: the certificates that exist now, the properties, the order of members. */
inline settle() { certify(); check(); sort() }

#define says(m, field, view, block) (member[m].field[view] == (block))
#define refuses(m, view) ((member[m].said_nullify >> (view)) & 1)
#if HONEST > 3
#define voices(field, view, block) \
    (says(0, field, view, block) + says(1, field, view, block) + says(2, field, view, block) \
     + says(3, field, view, block) + says(4, field, view, block))
#define refusals(view) \
    (refuses(0, view) + refuses(1, view) + refuses(2, view) + refuses(3, view) + refuses(4, view))
#define supporters(view, block) \
    (may_notarize(0, view, block) + may_notarize(1, view, block) + may_notarize(2, view, block) \
     + may_notarize(3, view, block) + may_notarize(4, view, block))
#else
#define voices(field, view, block) \
    (says(0, field, view, block) + says(1, field, view, block) + says(2, field, view, block))
#define refusals(view) (refuses(0, view) + refuses(1, view) + refuses(2, view))
#define supporters(view, block) \
    (may_notarize(0, view, block) + may_notarize(1, view, block) + may_notarize(2, view, block))
#endif

inline certify() {
    for (v : 1 .. VIEWS) {
        for (i : 0 .. LAST) {
            b = member[i].notarized[v];
            if
            :: b != NONE && voices(notarized, v, b) >= TRUTHFUL ->
                assert(N[v] == NONE || N[v] == b);  /* one notarized block in a view */
                N[v] = b
            :: else
            fi;
            b = member[i].finalized[v];
            if
            :: b != NONE && voices(finalized, v, b) >= TRUTHFUL ->
                assert(F[v] == NONE || F[v] == b);  /* one finalized block in a view */
                F[v] = b
            :: else
            fi
        }
        if :: refusals(v) >= TRUTHFUL -> X = X | bit_of(v) :: else fi;
    }
    i = 0; v = 0; b = 0
}

/* Without the liar's help the furthest view can be left: either a quorum may still nullify it,
 * or a quorum may notarize one block (2.11: why certificates are durable). */
#define may_notarize(m, view, block) \
    (member[m].notarized[view] == (block) \
     || (member[m].notarized[view] == NONE && !nullified_in(m, view)))

inline check() {
    for (u : 1 .. VIEWS) {
        assert(F[u] == NONE || !has_x(u));  /* never both finalized and nullified */
        for (v : u + 1 .. VIEWS) {
            assert(F[u] == NONE || F[v] == NONE || !conflict(F[u], F[v]))  /* agreement */
        }
    }
    u = 1;
    for (i : 0 .. LAST) {
        if :: member[i].view > u -> u = member[i].view :: else fi
    }
    if
    :: u <= VIEWS && voices(finalized, u, NONE) < ENOUGH ->
        c = 0;
        for (b : 1 .. blocks) {
            if
            :: supporters(u, b) >= ENOUGH -> c = 1
            :: else
            fi
        }
        assert(c == 1)  /* nobody is stuck for ever */
    :: else
    fi;
    i = 0; u = 0; v = 0; b = 0; c = 0
}

/* One of all orders of the members. */
#define key(m, v) \
    ((member[m].notarized[v] << 5) + member[m].finalized[v])
#if VIEWS > 2
#define last_key(m) key(m, 3)
#else
#define last_key(m) 0
#endif
#define first_word(m) \
    ((member[m].view << 28) + (member[m].nullified << 24) + (member[m].said_nullify << 20) \
     + (last_key(m) << 4))
#define second_word(m) ((key(m, 1) << 10) + key(m, 2))
#define follows(m, n) \
    (first_word(m) > first_word(n) \
     || (first_word(m) == first_word(n) && second_word(m) > second_word(n)))

#define swap_field(m, n, field) \
    c = member[m].field; member[m].field = member[n].field; member[n].field = c;
inline order(m, n) {
    if
    :: follows(m, n) ->
        swap_field(m, n, view)
        swap_field(m, n, nullified)
        swap_field(m, n, said_nullify)
        for (v : 1 .. VIEWS) {
            swap_field(m, n, notarized[v])
            swap_field(m, n, finalized[v])
        }
    :: else
    fi;
    v = 0; c = 0
}
#if HONEST > 3
inline sort() {
    order(0, 1); order(1, 2); order(2, 3); order(3, 4);
    order(0, 1); order(1, 2); order(2, 3);
    order(0, 1); order(1, 2);
    order(0, 1)
}
#else
inline sort() { order(0, 1); order(1, 2); order(0, 1) }
#endif

/* Every block there can be: on the anchor, or on a block by a certificate of a view u. */
inline make_blocks() {
    for (v : 1 .. VIEWS) {
        for (u : 0 .. v - 1) {
            c = blocks;
            for (b : 0 .. c) {
                if
                :: (u == 0 && b == NONE) || (u > 0 && b != NONE && born[b] <= u) ->
                    for (i : 1 .. BLOCKS) {
                        blocks++;
                        born[blocks] = v;
                        parent[blocks] = b;
                        parent_view[blocks] = u
                    }
                :: else
                fi
            }
        }
    }
    i = 0; u = 0; v = 0; b = 0; c = 0
}

#define EACH_8(m, view, before, first) \
    NOTARIZE(m, view, before, first) NOTARIZE(m, view, before, first + 1) \
    NOTARIZE(m, view, before, first + 2) NOTARIZE(m, view, before, first + 3) \
    NOTARIZE(m, view, before, first + 4) NOTARIZE(m, view, before, first + 5) \
    NOTARIZE(m, view, before, first + 6) NOTARIZE(m, view, before, first + 7)
#if VIEWS > 2 && BLOCKS > 1
#define EACH_BLOCK(m, view, before) \
    EACH_8(m, view, before, 1) EACH_8(m, view, before, 9) \
    EACH_8(m, view, before, 17) EACH_8(m, view, before, 25)
#else
#define EACH_BLOCK(m, view, before) EACH_8(m, view, before, 1)
#endif
#define IN_VIEW(m, view, before) \
    EACH_BLOCK(m, view, before) FINALIZE(m, view) NULLIFY(m, view, before)
#if VIEWS > 2
#define RULES(m) IN_VIEW(m, 1, 0) IN_VIEW(m, 2, 1) IN_VIEW(m, 3, 2) CRASH(m)
#else
#define RULES(m) IN_VIEW(m, 1, 0) IN_VIEW(m, 2, 1) CRASH(m)
#endif

init {
    d_step {
        make_blocks();
        for (i : 0 .. LAST) { member[i].view = 1 }
        i = 0
    }
end:
    do
    :: atomic {
        if
        RULES(0)
        RULES(1)
        RULES(2)
#if HONEST > 3
        RULES(3)
        RULES(4)
#endif
        fi;
        d_step { settle() }
    }
    od
}
