/* The line: two servers of which one at a time holds the lease "scheduler", two jobs, room for one.
 * The one that holds the lease looks at the jobs and lets one in; it may be paused in between, and
 * another have got the lease meanwhile.
 */

#ifndef FAULTS
#define FAULTS 3                    /* leases that run out while their holder lives */
#endif
#define SLOTS 1

byte faults;
byte holder;                        /* of the lease; 0 nobody */
bool running[2];                    /* by job: whether it was given nodes */
byte given;

active [2] proctype server() {
  byte job, free;
look:
end_look:
  do
  :: d_step { holder == 0 -> holder = _pid + 1 }                        /* Leases.hold */
  :: atomic { holder == _pid + 1 && given < SLOTS -> free = SLOTS - given; select(job : 0 .. 1) };
     atomic {                                                           /* the write of an admission */
       if
#ifdef MUTANT_ADMISSION_NOT_FENCED
       :: free > 0 && !running[job] ->
#else
       :: free > 0 && !running[job] && holder == _pid + 1 ->
#endif
          running[job] = true; given++;
          assert(given <= SLOTS)                                        /* no slot is given away twice */
       :: else
       fi;
       job = 0; free = 0
     }
  od
}

active proctype jobs() {
  byte job;
end_idle:
  do
  :: d_step { running[0] -> running[0] = false; given-- }
  :: d_step { running[1] -> running[1] = false; given-- }
  od
}

active proctype misfortune() {
end_idle:
  do
  :: d_step { holder != 0 && faults < FAULTS -> faults++; holder = 0 }
  od
}
