# cython: language_level=3
"""Grace periods: quiesce, lead, share, poll, wait. See the .pxd for the map, barrier.h for the labels.

After Microsoft's minircu, with its relaxed orders replaced by those of the table in barrier.h, its wake-up of
everybody by a count of whom is waited for, and its quiesced state also given to idle threads from outside.
"""

from libc.stdint cimport uint64_t

from rcu._flavor cimport heavy_barrier
from rcu._headers cimport (
    RCU_GROUPS, RCU_PHASE_DONE, RCU_PHASE_STARTED, RCU_PHASE_WAITING, RCU_SEQ_BUSY, RCU_SEQ_FIRST,
    RCU_SEQ_QUIESCED, RCU_SEQ_STEP, rcu_clock, rcu_cond_broadcast, rcu_cond_signal, rcu_cond_wait, rcu_fetch_add,
    rcu_fetch_sub, rcu_full_barrier, rcu_held, rcu_load_acquire, rcu_load_relaxed, rcu_mutex_lock, rcu_mutex_trylock,
    rcu_mutex_unlock, rcu_slow, rcu_store_relaxed, rcu_store_release, rcu_thread_ident, rcu_thread_yield,
)
from rcu._slots cimport domain_new, give_way, take_awaited, visit, wake as wake_leader


# ---- readers: the slow halves --------------------------------------------------------------------------------

cdef void enter_slow(rcu_slot *slot) noexcept nogil:
    """Leaves the quiesced state and begins a section."""
    # The number is read anew each time: with an old one, leaders would wait for sections that began after their
    # period.
    cdef uint64_t g = rcu_load_relaxed(&slot.domain.gp_seq)
    # [B] with [G]: the newest number says that the sections before are over, as the store did which this one replaces.
    rcu_store_release(&slot.seq, g | RCU_SEQ_BUSY)
    # [Q] with [D]: if our store comes first, the leader sees us busy; if its fence does, we see what was published.
    # With [K]: if our store comes first, the second look sees g; if the leader's flag does, we see the flag.
    # With [P]: a caller that read an older gp_seq than we did had published before.
    rcu_full_barrier()
    if rcu_load_acquire(&slot.awaited) != 0:
        # The section has not begun, so it may join the newer period; but it must have done so before it says so.
        # Acquire, because the leader moved gp_seq before it set the flag: what is loaded here is the new number.
        rejoin(slot)


cdef void rejoin(rcu_slot *slot) noexcept nogil:
    """Takes the newest period's number, in the state that the slot is in, and says so to who waits for that."""
    cdef uint64_t busy = rcu_load_relaxed(&slot.seq) & RCU_SEQ_BUSY
    cdef uint64_t g = rcu_load_relaxed(&slot.domain.gp_seq)
    rcu_store_release(&slot.seq, g | busy)  # [B] with [G]: as the store before it, which it replaces
    # [X] with [K]: if our store comes first, the second look sees it; if the leader's flag does, we see the flag.
    # With [P]: the next section's loads come after that of gp_seq, so they see what the period's callers published.
    rcu_full_barrier()
    wake_leader(slot)


cdef void enter_parked(rcu_slot *slot) noexcept nogil:
    """Begins a section on a slot that a leader parked: idle, so that updaters stopped interrupting it."""
    # [F] with [D]: if our busy store comes first, the leader sees us busy; if its fence does, we see what was
    # published. The flag may be cleared on either side of the fence: a leader that sees this section ended, by [B],
    # finds it cleared.
    rcu_full_barrier()
    if not slot.fence:
        rcu_store_relaxed(&slot.parked, 0)


cdef void exit_slow(rcu_slot *slot) noexcept nogil:
    """A section has ended (seq is idle) and a grace period began since this slot last looked."""
    if slot.fence:
        rcu_full_barrier()  # [C] of the fence flavor, with the leader's fence at [E]
        if rcu_load_relaxed(&slot.domain.gp_seq) == rcu_load_relaxed(&slot.seq):
            return
    rejoin(slot)


cdef void quiesce(rcu_slot *slot) noexcept nogil:
    if rcu_held(slot) or rcu_load_relaxed(&slot.seq) == RCU_SEQ_QUIESCED:
        return
    # [B] with [G]. The exit's release store, which this one replaces, would do on processors and in C11, not in C++20.
    # Nobody is to be told, and no fence is missing: who waited for the last section was told by its exit, and leaders
    # wait for busy slots only; and the next section fences, at [Q].
    rcu_store_release(&slot.seq, RCU_SEQ_QUIESCED)


cdef rcu_slow slow
slow.enter = enter_slow
slow.enter_parked = enter_parked
slow.exit = exit_slow


cdef rcu_domain *grace_domain() noexcept nogil:
    return domain_new(&slow)


# ---- callers -------------------------------------------------------------------------------------------------

cdef uint64_t needed(rcu_domain *domain) noexcept nogil:
    # [P] with [Q] and [X]: if a reader sees a gp_seq later than the one we read here, and fences, it sees what we
    # have published, whichever thread leads. A period that has started already may have looked at its readers before
    # we published, so the next one is needed.
    rcu_full_barrier()
    return rcu_load_relaxed(&domain.gp_seq) + RCU_SEQ_STEP


cdef bint is_over(rcu_domain *domain, uint64_t need) noexcept nogil:
    return rcu_load_acquire(&domain.gp_done) >= need  # [Z]: the readers' last accesses come before what we do next


cdef bint poll(rcu_domain *domain, uint64_t need, bint may_interrupt) noexcept nogil:
    """Drives the domain as far as that goes without waiting for a reader; True: `need` is over.

    With `may_interrupt` false it does not even issue a heavy barrier. Where another thread leads, it is left to it.
    """
    if is_over(domain, need):
        return True
    give_way(domain)
    if rcu_mutex_trylock(&domain.lock):
        while domain.gp_done < need and not domain.led:
            domain.led = True
            drive(domain, may_interrupt)
            domain.led = False
            if domain.phase != RCU_PHASE_DONE:
                break
        hand_on(domain)
        rcu_mutex_unlock(&domain.lock)
    return is_over(domain, need)


cdef Outcome wait(rcu_domain *domain, uint64_t need, uint64_t until) noexcept nogil:
    """Leads or follows until `need` is over, or until the rcu_clock() says `until`: then nothing is lost, and the
    next caller goes on where this one stopped."""
    cdef bint has_led = False
    cdef int group = (need // RCU_SEQ_STEP) % RCU_GROUPS
    cdef Outcome outcome = COMPLETED
    give_way(domain)
    rcu_mutex_lock(&domain.lock)
    while domain.gp_done < need:
        if domain.led:
            domain.followers[group] += 1
            rcu_cond_wait(&domain.changed[group], &domain.lock, until)
            domain.followers[group] -= 1
        else:
            has_led = True
            domain.led = True
            drive(domain, True)
            if domain.phase == RCU_PHASE_WAITING:
                doze(domain, until)
                settle(domain)
            domain.led = False
        if domain.gp_done < need and rcu_clock() >= until:
            outcome = TIME_IS_UP
            break
    if outcome == COMPLETED and not has_led:
        domain.counts.shared_waits += 1
    hand_on(domain)
    rcu_mutex_unlock(&domain.lock)
    return outcome


# ---- the leader, under the domain's lock -----------------------------------------------------------------------

cdef void drive(rcu_domain *domain, bint may_interrupt) noexcept nogil:
    """Takes the newest grace period, or a new one, as far as it goes without waiting for a reader."""
    if domain.phase == RCU_PHASE_DONE:
        start(domain)
    else:
        domain.counts.resumed += 1
    if domain.phase == RCU_PHASE_STARTED:
        if nobody_to_wait_for(domain):
            domain.counts.barriers_skipped += 1
            complete(domain)
        elif may_interrupt:
            interrupt(domain)
            count(domain)
    settle(domain)


cdef void start(rcu_domain *domain) noexcept nogil:
    # What this period is for was published before: [P] in `needed`, by each who waits for it.
    rcu_fetch_add(&domain.gp_seq, RCU_SEQ_STEP)
    # [D] with [F] and [Q]: if a reader that fences stores busy first, we see it busy; if our fence comes first, it
    # sees the publications. The addition above orders nothing but itself with other such operations.
    rcu_full_barrier()
    domain.phase = RCU_PHASE_STARTED
    domain.started_ns = rcu_clock()
    domain.stall_next_ns = 0


cdef bint nobody_to_wait_for(rcu_domain *domain) noexcept nogil:
    """True if every slot is known to be past its old sections without a heavy barrier."""
    cdef uint64_t n = domain.gp_seq
    cdef uint64_t i
    for i in range(domain.n_slots):
        if not is_surely_ready(domain.slots[i], n):
            return False
    return True


cdef bint is_surely_ready(rcu_slot *slot, uint64_t n) noexcept nogil:
    # [G] with [B]: what the section did comes before its end, which we see; so does its clearing of the flag. Seq
    # first, then the flag: the other way round, the flag could be from before a section that cleared it, and seq from
    # after that section, while the next one has begun unseen.
    cdef uint64_t seq = rcu_load_acquire(&slot.seq)
    if seq == RCU_SEQ_QUIESCED or (seq & ~RCU_SEQ_BUSY) >= n:
        return True
    return seq & RCU_SEQ_BUSY == 0 and rcu_load_relaxed(&slot.parked) != 0


cdef void interrupt(rcu_domain *domain) noexcept nogil:
    """Parks what has been idle since the last period, and issues the heavy barrier. Drops the lock meanwhile: who
    attaches then sees the new gp_seq, for it took the lock after we moved it."""
    cdef uint64_t n = domain.gp_seq
    cdef uint64_t i, seq
    for i in range(domain.n_slots):
        seq = rcu_load_relaxed(&domain.slots[i].seq)
        # A thread that has left a section since the last period began has that period's number.
        if seq & RCU_SEQ_BUSY == 0 and seq != RCU_SEQ_QUIESCED and seq + RCU_SEQ_STEP < n:
            domain.counts.parkings += rcu_load_relaxed(&domain.slots[i].parked) == 0
            rcu_store_relaxed(&domain.slots[i].parked, 1)
    cdef bint crowded = domain.crowded
    domain.counts.heavy_barriers += 1
    rcu_mutex_unlock(&domain.lock)
    # The next period can serve all who ask for one while this one lasts. Updaters that are ready to run but have no
    # processor cannot ask, so where there is a crowd of them they are let in first. A lone updater does not wait.
    if crowded:
        rcu_thread_yield()
    # [E] with [A]: after it, a thread that had stored busy before is seen busy, and one that had not sees, in its
    # section, gp_seq, the publications and the parked flag. With [C]: a thread that had ended its section before
    # is seen idle; one that had not sees the new gp_seq when it does.
    heavy_barrier()
    rcu_mutex_lock(&domain.lock)


cdef void count(rcu_domain *domain) noexcept nogil:
    """After the heavy barrier: marks whom the period must wait for, and counts them."""
    cdef uint64_t n = domain.gp_seq
    cdef uint64_t i
    cdef rcu_slot *slot
    rcu_store_relaxed(&domain.unready, 1)  # our bias: the count cannot reach 0 while we still add to it
    for i in range(domain.n_slots):
        slot = domain.slots[i]
        if is_ready(slot, n):
            continue
        rcu_fetch_add(&domain.unready, 1)
        rcu_store_release(&slot.awaited, 1)
        # [K] with [X] and [Q]: if the reader's store of seq comes first, the second look sees it; if our flag does,
        # the reader sees the flag.
        rcu_full_barrier()
        if is_ready(slot, n):
            take_awaited(slot)
    domain.phase = RCU_PHASE_WAITING
    rcu_fetch_sub(&domain.unready, 1)


cdef bint is_ready(rcu_slot *slot, uint64_t n) noexcept nogil:
    cdef uint64_t seq = rcu_load_acquire(&slot.seq)  # [G] with [B]
    return seq & RCU_SEQ_BUSY == 0 or (seq & ~RCU_SEQ_BUSY) >= n


cdef void doze(rcu_domain *domain, uint64_t until) noexcept nogil:
    """Sleeps until the last reader that the period waits for has left, or until the time given; without the lock."""
    cdef bint sleeps
    rcu_mutex_unlock(&domain.lock)
    rcu_mutex_lock(&domain.doze_lock)
    sleeps = rcu_load_relaxed(&domain.unready) != 0
    if sleeps:
        rcu_cond_wait(&domain.doze, &domain.doze_lock, until)
    rcu_mutex_unlock(&domain.doze_lock)
    rcu_mutex_lock(&domain.lock)
    domain.counts.sleeps += sleeps


cdef void settle(rcu_domain *domain) noexcept nogil:
    # Acquire, for the count is taken down after the last accesses of the sections that it stands for.
    if domain.phase == RCU_PHASE_WAITING and rcu_load_acquire(&domain.unready) == 0:
        complete(domain)


cdef void complete(rcu_domain *domain) noexcept nogil:
    cdef uint64_t n = domain.gp_seq
    cdef int group = (n // RCU_SEQ_STEP) % RCU_GROUPS
    rcu_store_release(&domain.gp_done, n)  # [Z]
    domain.phase = RCU_PHASE_DONE
    domain.crowded = domain.by != rcu_thread_ident() or domain.followers[0] + domain.followers[1] != 0
    domain.by = rcu_thread_ident()
    domain.counts.last_ns = rcu_clock() - domain.started_ns
    if domain.counts.last_ns > domain.counts.longest_ns:
        domain.counts.longest_ns = domain.counts.last_ns
    if domain.followers[group]:
        rcu_cond_broadcast(&domain.changed[group])


cdef void hand_on(rcu_domain *domain) noexcept nogil:
    """Whoever leaves without leading sees to it that someone does, if anyone waits."""
    cdef int group = (domain.gp_seq // RCU_SEQ_STEP) % RCU_GROUPS
    if domain.led:
        return
    if domain.phase == RCU_PHASE_DONE or not domain.followers[group]:
        group = (group + 1) % RCU_GROUPS
    if domain.followers[group]:
        rcu_cond_signal(&domain.changed[group])


# ---- reports -------------------------------------------------------------------------------------------------

cdef uint64_t awaited(rcu_domain *domain, rcu_awaited *threads, uint64_t room) noexcept nogil:
    cdef uint64_t found = 0
    cdef uint64_t i
    cdef rcu_slot *slot
    visit(domain)
    if domain.phase == RCU_PHASE_WAITING:
        for i in range(domain.n_slots):
            slot = domain.slots[i]
            if rcu_load_relaxed(&slot.awaited) != 0:
                if found < room:
                    threads[found].ident = slot.ident
                    threads[found].native_id = slot.native_id
                found += 1
    rcu_mutex_unlock(&domain.lock)
    return found


cdef uint64_t stalled(rcu_domain *domain, uint64_t timeout_ns) noexcept nogil:
    """Age of the period under way, if it is time to report it: first at the timeout, then at doubling ages. One
    caller is told so for each."""
    cdef uint64_t age = 0
    cdef uint64_t due
    visit(domain)
    if not domain.led:
        # Its last reader may have left when nobody was there to notice: that is no stall.
        settle(domain)
        hand_on(domain)
    if domain.phase == RCU_PHASE_WAITING and rcu_load_relaxed(&domain.unready) != 0:
        age = rcu_clock() - domain.started_ns
        due = domain.stall_next_ns if domain.stall_next_ns else timeout_ns
        if age < due:
            age = 0
        else:
            while due <= age:
                due = due * 2 if due else 1
            domain.stall_next_ns = due
            domain.counts.stalls += 1
    rcu_mutex_unlock(&domain.lock)
    return age


cdef uint64_t take_abandoned(rcu_domain *domain, uint64_t *ident) noexcept nogil:
    cdef uint64_t count = 0
    # A look without the lock, which most calls are spared: the count is looked at again later if this is too early.
    if rcu_load_relaxed(&domain.counts.abandoned) != 0:
        visit(domain)
        count = domain.counts.abandoned
        ident[0] = domain.counts.abandoned_ident
        rcu_store_relaxed(&domain.counts.abandoned, 0)
        rcu_mutex_unlock(&domain.lock)
    return count


cdef void survey(rcu_domain *domain, Survey *result) noexcept nogil:
    cdef uint64_t i, seq
    visit(domain)
    result.threads = domain.n_slots
    result.parked = 0
    result.active = 0
    for i in range(domain.n_slots):
        seq = rcu_load_acquire(&domain.slots[i].seq)  # as in is_surely_ready: seq first
        if seq & RCU_SEQ_BUSY:
            result.active += 1
        elif seq == RCU_SEQ_QUIESCED or rcu_load_relaxed(&domain.slots[i].parked) != 0:
            result.parked += 1
    result.periods = (domain.gp_done - RCU_SEQ_FIRST) // RCU_SEQ_STEP
    result.counts = domain.counts
    rcu_mutex_unlock(&domain.lock)
