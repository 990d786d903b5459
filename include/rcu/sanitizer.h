/* Which sanitizer the compiler instruments for: RCU_THREAD_SANITIZER, RCU_ADDRESS_SANITIZER, and RCU_SANITIZED for
 * either. GCC says it by a macro, Clang by a feature. */
#ifndef RCU_SANITIZER_H
#define RCU_SANITIZER_H

#if defined(__SANITIZE_THREAD__)
#define RCU_THREAD_SANITIZER 1
#elif defined(__SANITIZE_ADDRESS__)
#define RCU_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_THREAD_SANITIZER 1
#elif __has_feature(address_sanitizer)
#define RCU_ADDRESS_SANITIZER 1
#endif
#endif

#if defined(RCU_THREAD_SANITIZER) || defined(RCU_ADDRESS_SANITIZER)
#define RCU_SANITIZED 1
#endif

#endif
