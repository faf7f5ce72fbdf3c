/* layout.c -- the locked layouts, and the drafts, compile as C11. */
#include "hone/draft/model.h"
#include "hone/draft/stage.h"
#include "hone/layout_lock.h"

int hone_layout_is_locked = 1;
