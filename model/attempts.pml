/* One job, from the line to its cleaning: two servers that may die or be paused anywhere, and nodes
 * whose agents may die, or that may be taken away, at any moment. README.md says which code each step
 * stands for. -DMUTANT_<rule> breaks one rule each; each must be found.
 *
 * A pause needs no step: a server that is not scheduled for long is a paused one, and its lease may run
 * out (`misfortune`) whatever it is about to do.
 */

#ifndef FAULTS
#define FAULTS 2        /* how many of all that `fault` counts may happen, in any mixture */
#endif
#define ATTEMPTS 2      /* that the job may have */
#define RELAUNCHES 1    /* how often an agent that died is started over its journal */
#define IDS (3 + FAULTS)

byte faults;
#define fault (faults < FAULTS) -> faults++

/* ---- The records. All servers share them; each statement on them is a transaction. */

mtype = { WAITING, LAUNCHING, RUNNING, RETIRING, OVER, CLEANED };

mtype phase = WAITING;              /* WAITING: no attempt in hand; `number` tells how many there were */
byte number;
bool wish;                          /* somebody wants the job stopped */
bool told;                          /* its node was told so */
byte relaunches;
bool ended[ATTEMPTS + 1];           /* the last fact of the attempt was taken */
byte owner;                         /* the server that steps the job, 0 nobody */
bool lease[IDS];                    /* by server: whether it counts as alive */
byte last_id;

/* ---- The place: a node for each attempt, whose id is the attempt's number. */

mtype = { NONE, LIVE, DEAD, EXITED, TAKEN, REMOVED };

mtype node[ATTEMPTS + 1] = NONE;    /* DEAD: no agent, but perhaps its container */
bool tombstone[ATTEMPTS + 1];
bool stop[ATTEMPTS + 1];            /* the wish, in the node's folder */
bool journal[ATTEMPTS + 1];         /* the last fact, on the node's disk; journal.pml has the others */
bool report[ATTEMPTS + 1];          /* ... on its way to a server */
bool endless;                       /* training that ends only when it is stopped */

/* ---- Watched; decides nothing. */

bool acknowledged[ATTEMPTS + 1];    /* an agent heard that its last fact was taken */

#define computes(n) (node[n] == LIVE || node[n] == DEAD)
#define given_up(n) (number != n || phase == RETIRING || phase == OVER || phase == CLEANED)

inline only_computes(n) {
  for (other : 1 .. ATTEMPTS) { assert(other == n || !computes(other)) }
  other = 0
}

/* ---- A server. It is killed by falling back to `boot`. */

#define MAY_DIE if :: true :: fault; lease[id] = false; goto boot fi

/* The row still is what was read. */
#ifdef MUTANT_BLIND_WRITES
#define AS_READ true
#else
#define AS_READ (phase == old_phase && number == old_number && wish == old_wish && told == old_told \
                 && relaunches == old_relaunches)
#endif
#ifdef MUTANT_NO_FENCE                  /* alone it does no harm: see README.md */
#define MINE true
#else
#define MINE (owner == id)
#endif

inline read_row() {
  old_phase = phase; old_number = number; old_wish = wish; old_told = told;
  old_relaunches = relaunches
}

inline forget() {
  old_phase = WAITING; old_number = 0; old_wish = false; old_told = false; old_relaunches = 0;
  seen = NONE; done = false; wrote = false
}

inline write(fence, new_phase, new_number, new_told, new_relaunches) {
  if
  :: AS_READ && (fence) ->
     phase = new_phase; number = new_number; told = new_told; relaunches = new_relaunches;
#ifdef MUTANT_BLIND_WRITES
     wish = old_wish;
#endif
     wrote = true
  :: else
  fi
}

/* TrainingRecords.swap, and then the next look: also after one that was refused. */
inline swap(fence, new_phase, new_number, new_told, new_relaunches) {
  atomic {
    write(fence, new_phase, new_number, new_told, new_relaunches);
    MAY_DIE;
    forget();
    goto look
  }
}

/* Driver.launch: by node id, idempotent; the tombstone is looked at in the step that starts. */
inline launch(n) {
#ifdef MUTANT_TOMBSTONE_SEEN_BEFORE_START
  seen = (tombstone[n] -> REMOVED : node[n]);
#endif
  atomic {
#ifndef MUTANT_TOMBSTONE_SEEN_BEFORE_START
    seen = (tombstone[n] -> REMOVED : node[n]);
#endif
    if
    :: fault; seen = NONE                           /* refused, for good */
#ifdef MUTANT_LAUNCHED_TWICE
    :: seen == LIVE -> assert(node[n] != LIVE)      /* a second agent of the node */
#else
    :: seen == LIVE
#endif
    :: seen == TAKEN || seen == REMOVED -> seen = REMOVED
    :: seen == NONE || seen == DEAD || seen == EXITED ->
       only_computes(n);
       assert(phase != CLEANED);
       node[n] = LIVE; seen = LIVE
    fi;
    MAY_DIE
  }
}

/* Driver.remove: the tombstone comes before anything is killed, and also where there is no node. */
inline remove(n) {
#if !defined(MUTANT_NO_TOMBSTONE) && !defined(MUTANT_KILLED_BEFORE_TOMBSTONE)
  atomic {
#ifdef MUTANT_REMOVED_BY_HANDLE
    tombstone[n] = (node[n] != NONE);
#else
    tombstone[n] = true;
#endif
    MAY_DIE
  }
#endif
  atomic {
    assert(!computes(n) || given_up(n));            /* nothing is killed that the records rely on */
    if :: node[n] != NONE || tombstone[n] -> node[n] = REMOVED :: else fi;
    journal[n] = false; stop[n] = false;
    MAY_DIE
  }
#ifdef MUTANT_KILLED_BEFORE_TOMBSTONE
  atomic { tombstone[n] = true; MAY_DIE }
#endif
}

/* A look that would find nothing to do is left out. */
#define worth_a_look ((phase == WAITING && wish) || phase == LAUNCHING || phase == RETIRING \
  || phase == OVER \
  || (phase == RUNNING && (node[number] != LIVE || ended[number] || (wish && !told))))

#define gone (seen == DEAD || seen == EXITED)

active [2] proctype server() {
  byte id, other;
  mtype seen, old_phase;
  byte old_number, old_relaunches;
  bool mine, old_wish, old_told, wrote, done;

boot:                                               /* Leases.register: always under a new id */
  atomic { last_id++; id = last_id; lease[id] = true; mine = false; forget() }

look:
end_look:
  if
  :: atomic { !lease[id] -> goto boot }             /* Leases.beat says False */
  :: atomic { lease[id] && !mine && !lease[owner] && phase != CLEANED ->
       owner = id; mine = true; goto look }         /* Leases.claim */
  :: atomic { phase == WAITING && !wish -> read_row(); goto letting_in }
  /* Not `owner == id`: who was declared dead goes on with what it had, until a beat tells. */
  :: atomic { mine && worth_a_look -> read_row() };
     goto step
  fi;

letting_in:                                         /* by who holds the lease "scheduler": line.pml */
  swap(lease[id], LAUNCHING, old_number + 1, false, 0);

step:
  if
  :: old_phase == WAITING -> swap(MINE, OVER, old_number, false, 0)     /* stopped in line */

  :: old_phase == LAUNCHING ->
     launch(old_number);
     swap(MINE, (seen == LIVE -> RUNNING : (seen == REMOVED -> RETIRING : OVER)),
          old_number, old_told, old_relaunches)

  :: old_phase == RUNNING ->
     seen = node[old_number];                       /* Driver.observe */
     atomic {
       done = ended[old_number];                    /* TrainingRecords.facts */
       if
       :: done -> goto end
       :: !done && gone && old_relaunches < RELAUNCHES -> goto relaunch
       :: !done && (seen == TAKEN || seen == REMOVED || (gone && old_relaunches == RELAUNCHES)) ->
          goto lose
       :: !done && seen == LIVE && old_wish && !old_told -> goto tell
       :: else -> forget(); goto look
       fi
     };
end:
     swap(MINE, OVER, old_number, old_told, old_relaunches);
relaunch:
     atomic {
       write(MINE, RUNNING, old_number, old_told, old_relaunches + 1);
       MAY_DIE;
       if :: !wrote -> forget(); goto look :: else fi
     };
     launch(old_number);
     atomic { forget(); goto look };
tell:
#ifdef MUTANT_WISH_NOTED_BEFORE_TOLD
     atomic { write(MINE, RUNNING, old_number, true, old_relaunches); MAY_DIE };
     atomic { if :: wrote -> stop[old_number] = true :: else fi; forget(); goto look };
#else
     atomic { stop[old_number] = true; MAY_DIE };   /* Driver.stop: again, after a crash */
     swap(MINE, RUNNING, old_number, true, old_relaunches);
#endif
lose:
#if defined(MUTANT_REMOVED_BEFORE_WRITTEN)
     remove(old_number);
     swap(MINE, (old_number < ATTEMPTS && !old_wish -> WAITING : OVER), old_number, old_told, 0)
#elif defined(MUTANT_REMOVED_AFTER_NEXT_LAUNCH)
     atomic {
       write(MINE, (old_number < ATTEMPTS -> LAUNCHING : OVER), old_number + 1, false, 0);
       if :: !wrote || phase == OVER -> forget(); goto look :: else fi
     };
     launch(old_number + 1);
     remove(old_number);
     goto look
#else
     swap(MINE, RETIRING, old_number, old_told, old_relaunches)
#endif

  :: old_phase == RETIRING ->
#ifdef MUTANT_FACTS_READ_BEFORE_REMOVED
     done = ended[old_number];
     remove(old_number);
#else
     remove(old_number);
     done = ended[old_number];                      /* from here on no agent hears of anything taken */
#endif
     atomic {
       assert(!(AS_READ && MINE) || done || !acknowledged[old_number]); /* no end is forgotten */
       write(MINE, (done || old_wish || old_number == ATTEMPTS -> OVER : WAITING), old_number,
             old_told, 0);
       MAY_DIE;
       forget();
       goto look
     }

  :: old_phase == OVER ->
#ifndef MUTANT_NOT_CLEANED
     if :: old_number > 0 -> remove(old_number) :: else fi;
#endif
     atomic {
       write(MINE, CLEANED, old_number, old_told, 0);
       if :: wrote -> only_computes(0) :: else fi;
       MAY_DIE;
       forget();
       goto look
     }
  fi
}

/* ---- A node's agent. Whichever server gets the report takes it, whoever owns the job. */

proctype agent(byte n) {
end_idle:
  do
  :: d_step { node[n] == LIVE && !journal[n] && (!endless || stop[n]) -> journal[n] = true }
  :: d_step { node[n] == LIVE && journal[n] && !report[n] -> report[n] = true }
  :: d_step { report[n] ->                          /* TrainingRecords.take, and the answer */
       report[n] = false; ended[n] = true;
       if :: node[n] == LIVE -> acknowledged[n] = true; node[n] = EXITED :: else fi }
  od
}

active proctype misfortune() {
end_idle:
  do
  :: d_step { lease[owner] && fault; lease[owner] = false }             /* the server lives on */
  :: d_step { node[number] == LIVE && fault; node[number] = DEAD }      /* the agent dies */
  :: d_step { computes(number) && fault; node[number] = TAKEN }         /* the place takes the node */
  od
}

active proctype person() {
  if
  :: d_step { phase != OVER && phase != CLEANED -> wish = true }        /* StopTrainingJob */
  :: true
  fi
}

init {
  byte n;
  atomic {
    if :: endless = true :: endless = false fi;
    for (n : 1 .. ATTEMPTS) { run agent(n) }
  }
}

ltl wishes { [] (wish -> <> (phase == CLEANED)) }
ltl ends { [] (ended[1] -> <> (phase == CLEANED)) }
