// Names of types, which any number of threads look up without waiting while others set some: a hash table that is never
// changed once it is published, but replaced by a copy.
#ifndef REGISTRY_NAMES_HPP
#define REGISTRY_NAMES_HPP

#include <Python.h>
#include <rcu/api.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

namespace registry
{

// A read-side section of the default domain. It is open unless there was no memory for the thread's slot.
class section
{
  public:
    section() noexcept : slot_(rcu_this_slot(rcu_default_domain()))
    {
        if (slot_ != nullptr)
            rcu_enter(slot_);
    }

    ~section()
    {
        if (slot_ != nullptr)
            rcu_exit(slot_);
    }

    section(const section &) = delete;
    section &operator=(const section &) = delete;

    explicit operator bool() const noexcept
    {
        return slot_ != nullptr;
    }

  private:
    rcu_slot *slot_;
};

// For std::lock_guard. Who waits for it does not keep the interpreter from stopping its threads, as for a std::mutex.
class mutex
{
  public:
    void lock()
    {
        PyMutex_Lock(&mutex_);
    }

    void unlock()
    {
        PyMutex_Unlock(&mutex_);
    }

  private:
    PyMutex mutex_ = {};
};

using table = std::unordered_map<PyTypeObject *, std::string>;

// One version. A class with such a member as a table need not have standard layout, so nothing is promised of where an
// rcu_head among its members would be. From a base the way back is a static_cast, whatever the layout.
struct version : rcu_head {
    explicit version(const table &from) : rcu_head(), names(from)
    {
        ++made;
    }

    ~version()
    {
        ++freed;
    }

    version(const version &) = delete;
    version &operator=(const version &) = delete;

    // After a grace period, on a thread of rcu's, which has no thread state.
    static void reclaim(rcu_head *head)
    {
        delete static_cast<version *>(head);
    }

    table names;

    // How many there have been, to see that none is left behind.
    static inline std::atomic<long> made{0}, freed{0};
};

class names
{
  public:
    names() : current_(new version(table()))
    {
    }

    // Nobody reads any more.
    ~names()
    {
        delete current_;
    }

    names(const names &) = delete;
    names &operator=(const names &) = delete;

    // The version of now, until the section ends: the caller is in one, or has the lock, or is alone.
    const table &now() const noexcept
    {
        return rcu_dereference(current_)->names;
    }

    // In a section; null: none is set.
    const std::string *find(PyTypeObject *type) const noexcept
    {
        const table &names = now();
        const auto found = names.find(type);
        return found == names.end() ? nullptr : &found->second;
    }

    // In a section or not. Is the type new? Where it throws, nothing has changed.
    bool set(PyTypeObject *type, std::string name)
    {
        const std::lock_guard<mutex> alone(setting_);
        auto next = std::make_unique<version>(current_->names);
        const bool added = next->names.insert_or_assign(type, std::move(name)).second;
        version *const old = current_;
        rcu_assign_pointer(current_, next.release());
        rcu_call(rcu_default_domain(), old, version::reclaim);
        return added;
    }

  private:
    version *current_; // published
    mutex setting_;    // held by who publishes
};

} // namespace registry

#endif
